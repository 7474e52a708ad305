"""Ranks of relevant items from tiles of similarities: product and counting by turns, in one core's cache.

Every thread multiplies a tile, counts in it, and forgets it. Where every item is a query, a tile serves its
rows and, transposed, its columns, so that only half of the product is computed. What threads count are
integers, so their number changes nothing.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from cbir_bench.metrics.counting import kernels
from cbir_bench.metrics.counting.ranked import Ranked
from cbir_bench.metrics.similarity import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.item_lists import ItemLists
    from cbir_bench.metrics.similarity import Similarities

_SIDE: Final = 512
"""Of a tile: its products fill the cache of a core."""
_CELLS: Final = 1024
_CELLS_PER_THRESHOLD: Final = 8
_MOST_CELLS: Final = 2**15
_MOST_IN_INT8: Final = 127
"""Thresholds up to which a table takes half of the cache."""
_OPEN_AT_ONCE: Final = 8192
_BYTES_PER_PAIR: Final = 40
"""Item, threshold, float64 similarity, rank, counts."""
_BYTES_PER_PAIR_AND_THREAD: Final = 4
_SECONDS_BETWEEN_LOOKS: Final = 0.1


class _Work(NamedTuple):
    """What all parts of one call share."""

    similarities: Similarities
    truth: GroundTruth
    base: kernels.Base
    ordered: bool
    pool: ThreadPoolExecutor
    n_threads: int
    on_progress: Callable[[float], None] | None


def ranked_in_tiles(
    similarities: Similarities,
    truth: GroundTruth,
    *,
    ordered: bool,
    memory_bytes: int,
    n_threads: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Ranked]:
    """Yield the ranks of every query's relevant items, some queries at a time.

    Args:
        similarities: of the protocol's queries and base.
        truth: the protocol's queries, base and relevance.
        ordered: whether to say which item is at each rank.
        memory_bytes: what may be held at once beyond vectors and answers; to keep to it, a tile serves
            one side only and strips of queries get narrower, down to a single query each.
        n_threads: threads to count with; as many as this process may run on if None.
        on_progress: called now and then with the share that is done.
    """
    n_threads = n_threads or len(os.sched_getaffinity(0))
    # Threads of ours multiply; if the library's spun beside them, both would wait.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        work = _Work(
            similarities, truth, _base(similarities), ordered, pool, n_threads, on_progress
        )
        mutual = truth.symmetric and similarities.symmetric
        if mutual and _bytes_at_once(truth, n_threads) <= memory_bytes:
            yield _symmetric(work)
        else:
            yield from _by_strips(work, memory_bytes)


def takes_too_many(truth: GroundTruth) -> bool:
    """Return whether a query has more relevant items than the kernels can tell apart."""
    return int(np.max(truth.n_relevant, initial=0)) > kernels.MOST_THRESHOLDS


def _base(similarities: Similarities) -> kernels.Base:
    l2 = similarities.space == "l2"
    vectors = _padded(similarities.base)
    offset = np.zeros(len(vectors), np.float32)
    if l2:
        offset += similarities.base_squares.astype(np.float32)
    return kernels.Base(vectors, offset, np.float32(2 if l2 else 1), l2)


def _padded(vectors: Matrix) -> Matrix:
    """Return the vectors with zeros behind them, so that they divide into lanes."""
    missing = -vectors.shape[1] % LANES
    return np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors


def _queries(vectors: Matrix, band: NDArray[np.float32], lists: ItemLists) -> kernels.Queries:
    """Return queries whose thresholds are still to be prepared."""
    n, n_pairs = len(vectors), len(lists.items)
    most = int(np.max(lists.counts, initial=0))
    dtype: Any = np.int8 if most <= _MOST_IN_INT8 else np.int16
    return kernels.Queries(
        vectors=vectors,
        band=band,
        starts=lists.starts,
        items=lists.items.astype(np.int32),
        exact=np.empty(n_pairs),
        thresholds=np.empty(n_pairs, np.float32),
        crowded=np.zeros(n, np.bool_),
        table=np.empty((n, _n_cells(most)), dtype),
        low=np.zeros(n, np.float32),
        scale=np.zeros(n, np.float32),
    )


def _n_cells(most: int) -> int:
    """Return a power of 2: enough cells that few hold a threshold."""
    wanted = 1 << max(0, _CELLS_PER_THRESHOLD * most - 1).bit_length()
    return min(max(wanted, _CELLS), _MOST_CELLS)


def _tally(queries: kernels.Queries) -> kernels.Tally:
    n, n_pairs = len(queries.vectors), len(queries.items)
    most = int(np.max(np.diff(queries.starts), initial=0))
    return kernels.Tally(
        above=np.zeros(n_pairs + n, np.int32),
        codes=np.empty(_SIDE, np.int16),
        places=np.empty(_SIDE, np.int32),
        histogram=np.zeros((4, most + 1), np.int32),
        open_query=np.empty(_OPEN_AT_ONCE, np.int32),
        open_item=np.empty(_OPEN_AT_ONCE, np.int32),
        open_threshold=np.empty(_OPEN_AT_ONCE, np.int64),
    )


def _bytes_at_once(truth: GroundTruth, n_threads: int) -> int:
    """Return what thresholds, tables and counts of all queries take together."""
    most = int(np.max(truth.n_relevant, initial=0))
    per_pair = _BYTES_PER_PAIR + n_threads * _BYTES_PER_PAIR_AND_THREAD
    return int(truth.n_relevant.sum()) * per_pair + len(truth.n_relevant) * 2 * _n_cells(most)


def _symmetric(work: _Work) -> Ranked:
    """Return the ranks of all queries, which are the base, from half of the product."""
    base, everything = work.base, slice(0, len(work.base.vectors))
    lists = work.truth.relevant_items(everything)
    left_out = _left_out(lists, work.truth.ignored_items(everything))
    queries = _queries(base.vectors, 2 * work.similarities.error, lists)
    blocks = list(_steps(everything.stop))

    def prepare(rows: slice) -> None:
        kernels.prepare(queries, base, rows.start, rows.stop)

    list(work.pool.map(prepare, blocks))
    tiles: SimpleQueue[tuple[slice, slice]] = SimpleQueue()
    for place, rows in enumerate(blocks):
        for columns in blocks[place:]:
            tiles.put((rows, columns))

    def count(_: int) -> kernels.Tally:
        tally, buffers = _tally(queries), np.empty((2, _SIDE * _SIDE), np.float32)
        for rows, columns in _taken(tiles):
            block = _view(buffers[0], rows, columns)
            np.matmul(base.vectors[rows], base.vectors[columns].T, out=block)
            for starts, items in left_out:
                kernels.leave_out(block, rows.start, columns.start, starts, items)
            kernels.count(block, rows.start, columns.start, queries, base, tally)
            if rows != columns:
                turned = _view(buffers[1], columns, rows)
                kernels.transpose(block, turned)
                kernels.count(turned, columns.start, rows.start, queries, base, tally)
        return tally

    tallies = _watched(work, count, tiles)
    for tally in tallies[1:]:
        np.add(tallies[0].above, tally.above, out=tallies[0].above)
    return _ranked(everything, queries, tallies[0], ordered=work.ordered)


def _left_out(*lists: ItemLists) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    return [(one.starts, one.items.astype(np.int32)) for one in lists]


def _watched(
    work: _Work,
    count: Callable[[int], kernels.Tally],
    tiles: SimpleQueue[tuple[slice, slice]],
) -> list[kernels.Tally]:
    """Return what each thread has counted; if anything is raised here, they stop at their next tile."""
    n_tiles = tiles.qsize()
    futures = [work.pool.submit(count, thread) for thread in range(work.n_threads)]
    try:
        while wait(futures, timeout=_SECONDS_BETWEEN_LOOKS).not_done:
            if work.on_progress is not None:
                work.on_progress(1 - tiles.qsize() / n_tiles)
        return [future.result() for future in futures]
    finally:
        for _ in _taken(tiles):
            pass


def _taken(tiles: SimpleQueue[tuple[slice, slice]]) -> Iterator[tuple[slice, slice]]:
    """Yield tiles until there is none."""
    while True:
        try:
            yield tiles.get_nowait()
        except Empty:
            return


def _by_strips(work: _Work, memory_bytes: int) -> Iterator[Ranked]:
    """Yield the ranks of strips of queries against all of the base, as many at once as threads."""
    base, truth = work.base, work.truth
    vectors, band = _padded(work.similarities.queries), 2 * work.similarities.error
    strips = list(_steps(len(vectors), _strip_rows(truth, memory_bytes // work.n_threads)))

    def count(rows: slice) -> Ranked:
        lists = truth.relevant_items(rows)
        left_out = _left_out(lists, truth.ignored_items(rows))
        queries = _queries(vectors[rows], band[rows], lists)
        kernels.prepare(queries, base, 0, len(queries.vectors))
        tally, buffer = _tally(queries), np.empty(_SIDE * _SIDE, np.float32)
        for columns in _steps(len(base.vectors)):
            block = _view(buffer, rows, columns)
            np.matmul(queries.vectors, base.vectors[columns].T, out=block)
            for starts, items in left_out:
                kernels.leave_out(block, 0, columns.start, starts, items)
            kernels.count(block, 0, columns.start, queries, base, tally)
        return _ranked(rows, queries, tally, ordered=work.ordered)

    waiting = deque(work.pool.submit(count, rows) for rows in strips[: work.n_threads])
    try:
        for n_done in range(1, len(strips) + 1):
            ranked = waiting.popleft().result()
            for rows in strips[n_done + work.n_threads - 1 :][:1]:
                waiting.append(work.pool.submit(count, rows))
            if work.on_progress is not None:
                work.on_progress(n_done / len(strips))
            yield ranked
    finally:
        for future in waiting:
            future.cancel()


def _strip_rows(truth: GroundTruth, memory_bytes: int) -> int:
    most = int(np.max(truth.n_relevant, initial=0))
    per_pair = _BYTES_PER_PAIR + _BYTES_PER_PAIR_AND_THREAD
    per_row = most * per_pair + 2 * _n_cells(most)
    return int(np.clip((memory_bytes - 4 * _SIDE * _SIDE) // per_row, 1, _SIDE))


def _ranked(
    rows: slice, queries: kernels.Queries, tally: kernels.Tally, *, ordered: bool
) -> Ranked:
    ranks = np.empty(len(queries.items), np.int64)
    kernels.finish(queries.starts, tally.above, ranks)
    items = None
    if ordered:  # thresholds ascend, ranks begin with the best
        ends = queries.starts[:-1] + queries.starts[1:] - 1
        counts = np.diff(queries.starts)
        items = queries.items[np.repeat(ends, counts) - np.arange(len(ranks))].astype(np.int64)
    return Ranked(rows, queries.starts, ranks, items)


def _steps(n: int, step: int | None = None) -> Iterator[slice]:
    step = step or _SIDE
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _view(buffer: NDArray[np.float32], rows: slice, columns: slice) -> NDArray[np.float32]:
    """Return a contiguous block of a tile's shape."""
    n, width = rows.stop - rows.start, columns.stop - columns.start
    return buffer[: n * width].reshape(n, width)
