"""The same numbers for the same seed: torch's own draws, and the order in which threads add up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def repeatable(seed: int, n_threads: int, device: str) -> Iterator[None]:
    """Seed torch's own draws (dropout, class weights) and set the threads; all is put back at the end.

    On a CPU torch's deterministic algorithms are used, since several threads would else add gradients
    of the same vector up in the order in which they come. On a GPU they are not: some operations
    have none.
    """
    import torch

    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(n_threads)
    try:
        with private_draws(device):
            torch.manual_seed(seed)
            if not device.startswith("cuda"):
                torch.use_deterministic_algorithms(mode=True)
                torch.utils.deterministic.fill_uninitialized_memory = False  # only costs time
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filling
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        torch.set_num_threads(threads)


@contextmanager
def private_draws(device: str) -> Iterator[None]:
    """Put torch's random numbers back where they were when the block ends."""
    import torch

    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        yield


def torch_random(device: str) -> dict[str, Any]:
    """Return the state of torch's own random numbers on the CPU and the device."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_torch_random(states: Mapping[str, Any], device: str) -> None:
    """Put torch's own random numbers where ``torch_random`` found them."""
    import torch

    torch.set_rng_state(states["cpu"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(states["cuda"], device)
