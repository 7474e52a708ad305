"""The clock: what one call of a library takes, and what a batch takes.

The clock starts right before the library's call and stops right after it; preparing queries and
reading answers lie outside. Garbage collection is off while it runs.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from time import perf_counter_ns, process_time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")


class Timed(NamedTuple):
    """What a call returned, and the wall and CPU seconds of the whole process that it took."""

    value: Any
    seconds: float
    cpu_seconds: float


def timed(call: Callable[[], Any]) -> Timed:
    """Return what ``call`` returns with the seconds it took."""
    with no_garbage_collection():
        start, cpu_start = perf_counter_ns(), process_time()
        value = call()
        seconds, cpu_seconds = (perf_counter_ns() - start) / 1e9, process_time() - cpu_start
    return Timed(value, seconds, cpu_seconds)


def single_latency(
    answer: Callable[[Any], Any], queries: Sequence[Any], *, n_passes: int, n_warmup: int, seed: int
) -> NDArray[np.int64]:
    """Return ``(n_passes, n_queries)`` nanoseconds of each call; every sample is kept.

    Each pass asks all queries, in an order of its own, so that no query always follows the same one
    into the caches, and slow drifts of the machine spread over all queries.

    Args:
        answer: answers one query.
        queries: ``n_queries`` prepared queries.
        n_passes: passes over all queries, at least 1.
        n_warmup: calls before the first pass that are not measured.
        seed: of the orders.
    """
    for i in range(n_warmup):
        answer(queries[i % len(queries)])
    random = np.random.default_rng(seed)
    samples = np.empty((n_passes, len(queries)), np.int64)
    for row in samples:
        order = random.permutation(len(queries))
        row[order] = one_pass(answer, [queries[i] for i in order])
    return samples


def one_pass(answer: Callable[[Any], Any], queries: Iterable[Any]) -> list[int]:
    """Return the nanoseconds of ``answer`` for each query, in order."""
    clock = perf_counter_ns
    samples: list[int] = []
    keep = samples.append
    with no_garbage_collection():
        for query in queries:
            start = clock()
            answer(query)
            keep(clock() - start)
    return samples


def batch_seconds(call: Callable[[], Any], n_passes: int) -> NDArray[np.float64]:
    """Return ``(n_passes,)`` wall seconds of the same call, which answers a batch of queries."""
    return np.array([timed(call).seconds for _ in range(n_passes)])


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect once, then keep the collector from running until the block ends."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
