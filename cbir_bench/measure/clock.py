"""The clock: what one call of a library takes, and what a batch takes.

The clock starts right before the library's call and stops right after it; preparing queries and
reading answers lie outside. Garbage collection is off while it runs.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from time import perf_counter_ns, process_time, thread_time_ns
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


class Pass(NamedTuple):
    """One look at all queries.

    Attributes:
        wall_ns: ``(n_queries,)`` nanoseconds of each call on the wall clock.
        cpu_ns: ``(n_queries,)`` nanoseconds that the calling thread computed during each call.
    """

    wall_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64]


def timed(call: Callable[[], Any]) -> Timed:
    """Return what ``call`` returns with the seconds it took."""
    with no_garbage_collection():
        start, cpu_start = perf_counter_ns(), process_time()
        value = call()
        seconds, cpu_seconds = (perf_counter_ns() - start) / 1e9, process_time() - cpu_start
    return Timed(value, seconds, cpu_seconds)


def shuffled_pass(
    answer: Callable[[Any], Any], queries: Sequence[Any], *, n_warmup: int, seed: int
) -> Pass:
    """Return the times of each query, asked in an order of the pass's own.

    So no query always follows the same one into the caches, and slow drifts of the machine spread over
    all queries.

    Args:
        answer: answers one query.
        queries: ``n_queries`` prepared queries.
        n_warmup: calls before the first measured one; another index may have had the caches until now.
        seed: of the order.
    """
    for i in range(n_warmup):
        answer(queries[i % len(queries)])
    order = np.random.default_rng(seed).permutation(len(queries))
    asked = one_pass(answer, [queries[i] for i in order])
    measured = Pass(*(np.empty(len(queries), np.int64) for _ in range(2)))
    measured.wall_ns[order], measured.cpu_ns[order] = asked
    return measured


def one_pass(answer: Callable[[Any], Any], queries: Iterable[Any]) -> Pass:
    """Return the times of ``answer`` for each query, in order.

    The thread's clock is a system call, so it is read outside the wall clock; what reading the wall
    clock costs, about 0.1 us, is in the CPU time.
    """
    wall_clock, cpu_clock = perf_counter_ns, thread_time_ns
    wall: list[int] = []
    cpu: list[int] = []
    keep_wall, keep_cpu = wall.append, cpu.append
    with no_garbage_collection():
        for query in queries:
            cpu_start = cpu_clock()
            start = wall_clock()
            answer(query)
            end = wall_clock()
            keep_cpu(cpu_clock() - cpu_start)
            keep_wall(end - start)
    return Pass(np.array(wall, np.int64), np.array(cpu, np.int64))


def wall_pass(answer: Callable[[Any], Any], queries: Iterable[Any]) -> list[int]:
    """Return the wall nanoseconds of ``answer`` for each query, in order, with the least around it.

    Garbage collection is the caller's: in a forked process it would copy all memory that it looks at.
    """
    clock = perf_counter_ns
    samples: list[int] = []
    keep = samples.append
    for query in queries:
        start = clock()
        answer(query)
        keep(clock() - start)
    return samples


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
