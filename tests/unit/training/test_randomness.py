"""The same numbers for the same seed, whatever threads do, and nothing left behind."""

from __future__ import annotations

import pytest
import torch

from cbir_bench.training.randomness import private_draws, repeatable


def test_threads_add_gradients_up_in_one_order() -> None:
    """Triplets share pairs: two threads would add to one place in the order in which they come."""
    draws = torch.Generator().manual_seed(0)
    matrix = torch.rand(128, 128, generator=draws)
    rows, columns = torch.randint(0, 8, (2, 200_000), generator=draws)
    weights = torch.randn(200_000, generator=draws)

    def gradient():
        leaf = matrix.clone().requires_grad_()
        (leaf[rows, columns] * weights).sum().backward()
        return leaf.grad

    with repeatable(0, n_threads=2, device="cpu"):
        first, *others = (gradient() for _ in range(8))

    assert all(torch.equal(first, other) for other in others)


def test_the_seed_decides_the_draws() -> None:
    """Whatever was drawn before."""

    def drawn(seed):
        with repeatable(seed, n_threads=1, device="cpu"):
            return torch.rand(3)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("strict", [False, True])
def test_all_settings_are_put_back(strict) -> None:
    """Also when training fails: others run in the same process."""
    threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(strict)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)

    def fail():
        with repeatable(0, threads + 1, "cpu"):
            assert torch.get_num_threads() == threads + 1
            torch.rand(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    try:
        assert torch.are_deterministic_algorithms_enabled() == strict
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert torch.get_num_threads() == threads
        assert torch.rand(1) == expected
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_private_draws_leave_no_trace() -> None:
    """A validation that draws must not change the next step."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    with private_draws("cpu"):
        torch.rand(5)

    assert torch.equal(torch.rand(2), expected)
