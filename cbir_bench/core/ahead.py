"""Work done a little ahead of whoever uses its results, with a bounded number of results waiting."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def _nothing() -> None:
    """Do nothing: calls that still run are waited for."""


def ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    n_threads: int,
    stop: Callable[[], None] = _nothing,
) -> Iterator[R]:
    """Yield ``function(item)`` of every item, in order, computed by threads while others are used.

    At most ``2 * n_threads`` results are computed or waiting, so that memory stays bounded however
    slow the consumer is. ``items`` is read by the consumer's own thread, never ahead of that bound.
    The first error of ``function`` is raised in its place; what had not begun is then dropped.

    Args:
        function: safe to call from several threads at once when ``n_threads`` is above 1.
        items: what to call it with.
        n_threads: how many calls may run at once, at least 1.
        stop: called when no more results are wanted, whatever the reason; it may cut short the calls
            that still run, which are then waited for.
    """
    source = iter(items)
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="ahead") as pool:
        try:
            pending.extend(pool.submit(function, item) for item in islice(source, 2 * n_threads))
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()
            stop()
