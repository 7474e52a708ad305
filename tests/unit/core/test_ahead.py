"""Working ahead of a consumer, with a bound."""

from __future__ import annotations

import threading

import pytest

from cbir_bench.core.ahead import ahead


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("n_items", [0, 1, 50])
def test_results_come_in_the_order_of_the_items(n_items: int, n_threads: int) -> None:
    """Vectors are matched to images by their order alone."""
    gates = [threading.Event() for _ in range(n_items)]

    def work(item: int) -> int:
        if item % 2:  # an even item, which comes first, ends after its odd neighbour where it can
            gates[item].set()
        elif item + 1 < n_items and n_threads > 1:
            gates[item + 1].wait(timeout=1)
        return item * item

    actual = list(ahead(work, range(n_items), n_threads=n_threads))

    assert actual == [item * item for item in range(n_items)]


def test_no_more_items_are_taken_than_the_bound() -> None:
    """An endless or enormous source must not fill the memory."""
    taken = []

    def source():
        for item in range(1000):
            taken.append(item)
            yield item

    results = ahead(abs, source(), n_threads=2)
    for _ in range(3):
        next(results)

    assert len(taken) <= 3 + 2 * 2
    results.close()


def test_work_is_done_while_the_consumer_is_busy() -> None:
    """That is the purpose: the next batch is decoded during the forward pass."""
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            second_done.set()
        return item

    results = ahead(work, range(5), n_threads=1)
    next(results)

    assert second_done.wait(timeout=10)
    results.close()


def test_an_error_is_raised_in_its_place() -> None:
    """Everything before it was good and is used."""
    results = ahead(lambda item: 1 // (item - 2), range(10), n_threads=2)

    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_stopping_early_leaves_no_thread_behind() -> None:
    """A run that is interrupted must be able to end."""
    before = threading.active_count()

    results = ahead(abs, range(100), n_threads=3)
    next(results)
    results.close()

    assert threading.active_count() == before


def test_calls_that_run_can_be_cut_short() -> None:
    """Nobody wants to wait for a reader that hangs when the consumer has given up."""
    cut = threading.Event()

    def work(item: int) -> int:
        if item:
            cut.wait(timeout=60)
        return item

    results = ahead(work, range(10), n_threads=2, stop=cut.set)
    next(results)
    results.close()

    assert cut.is_set()
