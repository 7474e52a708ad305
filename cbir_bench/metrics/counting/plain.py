"""Ranks of relevant items with NumPy alone, a query at a time: nothing to compile, so best for few items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.metrics.counting.ranked import Ranked
from cbir_bench.metrics.similarity import BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.item_lists import ItemLists
    from cbir_bench.metrics.similarity import Similarities

_BYTES_PER_SCORE: Final = 4
_BYTES_PER_PAIR: Final = 64


def ranked_plainly(
    similarities: Similarities,
    truth: GroundTruth,
    *,
    ordered: bool,
    memory_bytes: int,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Ranked]:
    """Yield the ranks of every query's relevant items, as ``counting.tiles.ranked_in_tiles`` does.

    Args: as there; ``memory_bytes`` is what a block of similarities may take.
    """
    for rows, block in similarities.blocks(_rows_at_once(truth, min(memory_bytes, BLOCK_BYTES))):
        lists, ignored = truth.relevant_items(rows), truth.ignored_items(rows)
        block[ignored.queries, ignored.items] = -np.inf
        ranks = _block_ranks(block, rows.start, lists, similarities)
        items = lists.items
        order = np.lexsort((ranks, lists.queries))
        yield Ranked(rows, lists.starts, ranks[order], items[order] if ordered else None)
        if on_progress is not None:
            on_progress(rows.stop / len(similarities.queries))


def _rows_at_once(truth: GroundTruth, memory_bytes: int) -> int:
    most = int(np.max(truth.n_relevant, initial=0))
    per_row = _BYTES_PER_SCORE * len(truth.base_rows) + _BYTES_PER_PAIR * most
    return max(1, memory_bytes // per_row)


def _block_ranks(
    block: NDArray[np.float32], first: int, lists: ItemLists, similarities: Similarities
) -> NDArray[np.int64]:
    """Return the rank of each item in the lists of a block whose first row is query ``first``."""
    ranks = np.empty(len(lists.items), np.int64)
    for row, scores in enumerate(block):
        mine = slice(lists.starts[row], lists.starts[row + 1])
        if mine.start == mine.stop:
            continue
        query = first + row

        def exact(ids: Ids, query: int = query) -> NDArray[np.float64]:
            return similarities.exact(np.full(len(ids), query), ids)

        ranks[mine] = _row_ranks(scores, lists.items[mine], 2 * similarities.error[query], exact)
    return ranks


def _row_ranks(
    scores: NDArray[np.float32],
    items: Ids,
    band: np.float32,
    exact: Callable[[Ids], NDArray[np.float64]],
) -> NDArray[np.int64]:
    """Return the rank of each of some items among all, by similarity, then by id.

    Args:
        scores: ``(n_base,)`` float32 similarities of one query; minus infinity is no candidate.
        items: ids whose ranks are wanted, ascending.
        band: items whose scores differ by more than this are in the order of their scores.
        exact: gives the float64 similarities of ids, for those that differ by less.
    """
    lower, upper = scores[items] - band, scores[items] + band
    candidates = np.flatnonzero(scores >= lower.min())
    values = scores[candidates]
    ordered = np.sort(values)
    below = np.searchsorted(ordered, lower, side="left")
    above = np.searchsorted(ordered, upper, side="right")
    crowded = above - below > 1
    if not crowded.any():
        return np.asarray(len(ordered) - above + 1, np.int64)
    unclear = _covered(below[crowded], above[crowded], len(ordered))
    ids = np.sort(candidates[np.argsort(values)[unclear]])
    clear_above = np.concatenate([np.cumsum(~unclear[::-1])[::-1], [0]])[above]
    unclear_above = np.concatenate([np.cumsum(unclear[::-1])[::-1], [0]])[above]
    places = np.empty(len(ids), np.int64)
    places[np.lexsort((ids, -exact(ids)))] = np.arange(len(ids))
    unclear_above[crowded] = places[np.searchsorted(ids, items[crowded])]
    return np.asarray(clear_above + unclear_above + 1, np.int64)


def _covered(starts: NDArray[np.int64], stops: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Return ``(n,)`` True for every number in one of the half-open ranges."""
    steps = np.bincount(starts, minlength=n + 1) - np.bincount(stops, minlength=n + 1)
    return np.cumsum(steps)[:n] > 0
