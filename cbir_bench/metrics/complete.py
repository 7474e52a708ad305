"""Ranks of the relevant items in complete rankings, which are never stored.

A block of queries at a time: one float32 matrix product, then for every relevant item the number of base
items above it. Memory is bounded by the block; the numbers depend neither on its size nor on threads (see
``metrics.similarity``). Ties go by id ascending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.metric import Quotients
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.similarity import BLOCK_BYTES, leave_out_self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.item_lists import ItemLists
    from cbir_bench.metrics.similarity import Similarities

_BYTES_PER_SCORE = 4
_BYTES_PER_PAIR = 64


def complete_quotients(
    names: Iterable[str | MetricName],
    similarities: Similarities,
    truth: GroundTruth,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, Quotients]:
    """Return ``(n_queries,)`` quotients of each metric over the complete exact ranking, by name.

    Args:
        names: metrics of relevant items.
        similarities: of the protocol's queries and base.
        truth: the protocol's queries, base and relevance.
        block_bytes: memory for a block of similarities.

    Raises:
        UnknownNameError, SettingError: if a name is no metric's.
    """
    parsed = [MetricName.parse(name) if isinstance(name, str) else name for name in names]
    blocks = [
        [name.quotients(positives) for name in parsed]
        for positives in complete_blocks(similarities, truth, block_bytes=block_bytes)
    ]
    return {
        str(name): Quotients(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
        for name, columns in zip(parsed, zip(*blocks, strict=True), strict=True)
    }


def complete_ranks(
    similarities: Similarities, truth: GroundTruth, *, block_bytes: int = BLOCK_BYTES
) -> PositiveRanks:
    """Return the ranks of every relevant item of every query: 8 bytes for each of them.

    Args: as for ``complete_quotients``.
    """
    blocks = list(complete_blocks(similarities, truth, block_bytes=block_bytes))
    counts = np.concatenate([np.diff(block.starts) for block in blocks])
    return PositiveRanks(
        ranks=np.concatenate([block.ranks for block in blocks]),
        starts=np.concatenate([[0], np.cumsum(counts)]),
        n_relevant=truth.n_relevant,
        depth=None,
    )


def complete_blocks(
    similarities: Similarities, truth: GroundTruth, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[PositiveRanks]:
    """Yield the ranks of consecutive queries' relevant items.

    Args: as for ``complete_quotients``.
    """
    for rows, block in similarities.blocks(_rows_at_once(truth, block_bytes)):
        leave_out_self(block, truth.self_ids[rows])
        pairs = truth.relevant_items(rows)
        yield PositiveRanks(
            ranks=_block_ranks(block, rows.start, pairs, similarities),
            starts=pairs.starts,
            n_relevant=truth.n_relevant[rows],
            depth=None,
        )


def _rows_at_once(truth: GroundTruth, block_bytes: int) -> int:
    most = int(np.max(truth.n_relevant, initial=0))
    per_row = _BYTES_PER_SCORE * len(truth.base_rows) + _BYTES_PER_PAIR * most
    return max(1, block_bytes // per_row)


def _block_ranks(
    block: NDArray[np.float32], first: int, pairs: ItemLists, similarities: Similarities
) -> NDArray[np.int64]:
    """Return the ranks of all pairs of a block whose first row is query ``first``."""
    ranks = np.empty(len(pairs.items), np.int64)
    for row, scores in enumerate(block):
        mine = slice(pairs.starts[row], pairs.starts[row + 1])
        if mine.start == mine.stop:
            continue
        query = first + row

        def exact(ids: Ids, query: int = query) -> NDArray[np.float64]:
            return similarities.exact(np.full(len(ids), query), ids)

        ranks[mine] = row_ranks(scores, pairs.items[mine], 2 * similarities.error[query], exact)
    return ranks


def row_ranks(
    scores: NDArray[np.float32],
    items: Ids,
    band: np.float32,
    exact: Callable[[Ids], NDArray[np.float64]],
) -> NDArray[np.int64]:
    """Return the ranks, ascending, of some items among all, by similarity, then by id.

    Args:
        scores: ``(n_base,)`` float32 similarities of one query; minus infinity is no candidate.
        items: ids whose ranks are wanted.
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
        return np.sort(len(ordered) - above + 1)
    unclear = _covered(below[crowded], above[crowded], len(ordered))
    ids = np.sort(candidates[np.argsort(values)[unclear]])
    clear_above = np.concatenate([np.cumsum(~unclear[::-1])[::-1], [0]])[above]
    unclear_above = np.concatenate([np.cumsum(unclear[::-1])[::-1], [0]])[above]
    places = np.empty(len(ids), np.int64)
    places[np.lexsort((ids, -exact(ids)))] = np.arange(len(ids))
    unclear_above[crowded] = places[np.searchsorted(ids, items[crowded])]
    return np.sort(clear_above + unclear_above + 1)


def _covered(starts: NDArray[np.int64], stops: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Return ``(n,)`` True for every number in one of the half-open ranges."""
    steps = np.bincount(starts, minlength=n + 1) - np.bincount(stops, minlength=n + 1)
    return np.cumsum(steps)[:n] > 0
