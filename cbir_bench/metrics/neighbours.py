"""The exact nearest neighbours, and which results of an index are among them, ties included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.similarity import BLOCK_BYTES, leave_out_self

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.metrics.similarity import Similarities

TIE_TOLERANCE: Final = 1e-6
"""Of the spread of a query's similarities: about what float32 sums lose, and far below any class."""
_SPREAD_SAMPLE: Final = 256
"""Base items from which the spread is estimated, to some 5 %."""
_SPREAD_QUERIES: Final = 256
_GROUPS_PER_NEIGHBOUR: Final = 8
_BYTES_PER_SCORE: Final = 16
"""Of a block: the score, a mask, and candidates where ties are many."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactNeighbours:
    """The nearest base items of every query, by float64 similarity, then by id.

    Attributes:
        ids: ``(n_queries, k)``; ``NO_ITEM`` pads the tail where the base has fewer.
        similarity: ``(n_queries, k)`` float64, minus infinity where there is no item.
        tolerance: ``(n_queries,)`` differences below this are ties.
        similarities: what they were found in.
        self_ids: ``(n_queries,)`` each query's own item, which is no neighbour, or ``NO_ITEM``.
    """

    ids: Ids
    similarity: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    similarities: Similarities
    self_ids: Ids

    @property
    def k(self) -> int:
        """How many neighbours there are at most."""
        return int(self.ids.shape[1])

    @cached_property
    def n_neighbours(self) -> NDArray[np.int64]:
        """``(n_queries,)`` neighbours there are: ``k``, or the whole base where it is smaller."""
        return np.asarray(np.count_nonzero(self.ids != NO_ITEM, axis=1), np.int64)

    def threshold(self, k: int) -> NDArray[np.float64]:
        """Return ``(n_queries,)`` the similarity from which on an item is one of the ``k`` nearest.

        It is that of the k-th neighbour, or of the last one in a smaller base, less the tolerance.
        """
        last = np.clip(self.n_neighbours, 1, k) - 1
        kth: NDArray[np.float64] = self.similarity[np.arange(len(last)), last]
        return kth - self.tolerance

    def found(self, ids: Ids) -> FoundNeighbours:
        """Return what ``(n_queries, depth)`` results of an index have to do with the neighbours.

        Similarities of neighbours are looked up and only those of other results are computed.
        """
        places = np.searchsorted(self._keys, self._key(ids).ravel()).clip(max=len(self._keys) - 1)
        known = (self._keys[places] == self._key(ids).ravel()).reshape(ids.shape)
        similarity = self.similarity.ravel()[self._order[places]].reshape(ids.shape).copy()
        nothing = (ids == NO_ITEM) | (ids == self.self_ids[:, None])
        similarity[nothing] = -np.inf
        queries, columns = np.nonzero(~known & ~nothing)
        similarity[queries, columns] = self.similarities.exact(queries, ids[queries, columns])
        return FoundNeighbours(exact=self, similarity=similarity)

    def _key(self, ids: Ids) -> NDArray[np.int64]:
        """Return one number for each pair of a query and an id, ``NO_ITEM`` included."""
        return np.arange(len(ids))[:, None] * (len(self.similarities.base) + 1) + ids + 1

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._key(self.ids), axis=None)

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        return self._key(self.ids).ravel()[self._order]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundNeighbours:
    """Results of an index with their exact similarities.

    Attributes:
        exact: the neighbours they are held against.
        similarity: ``(n_queries, depth)`` float64, minus infinity for padding and the query itself.
    """

    exact: ExactNeighbours
    similarity: NDArray[np.float64]

    def positives(self, k: int) -> PositiveRanks:
        """Return the ranks of the results that are as near as the ``k``-th neighbour.

        ``n_relevant`` is ``k``, or the size of a smaller base, so that ties raise no recall above 1.

        Raises:
            UndefinedMetricError: if fewer neighbours are known than there are.
        """
        if k > self.exact.k and self.exact.k < len(self.exact.similarities.base):
            raise UndefinedMetricError(
                f"knn_recall@{k} needs {k} exact neighbours but {self.exact.k} are known. "
                f"Compute {k} with exact_neighbours()."
            )
        hits = self.similarity >= self.exact.threshold(k)[:, None]
        hits &= np.isfinite(self.similarity)
        return PositiveRanks.from_hits(hits, np.minimum(self.exact.n_neighbours, k))


def exact_neighbours(
    similarities: Similarities, self_ids: Ids, k: int, *, block_bytes: int = BLOCK_BYTES
) -> ExactNeighbours:
    """Return the ``k`` nearest base items of every query, the query itself excluded by its id.

    Args:
        similarities: of queries and base.
        self_ids: ``(n_queries,)`` each query's own item, or ``NO_ITEM``.
        k: how many, at least 1; fewer where the base is smaller.
        block_bytes: memory for a block of similarities.
    """
    n_queries, n_base = len(similarities.queries), len(similarities.base)
    k = min(k, n_base)
    ids = np.full((n_queries, k), NO_ITEM, np.int64)
    similarity = np.full((n_queries, k), -np.inf)
    for rows, block in similarities.blocks(max(1, block_bytes // (_BYTES_PER_SCORE * n_base))):
        leave_out_self(block, self_ids[rows])
        queries, items = _candidates(block, k, 2 * similarities.error[rows])
        values = similarities.exact(queries + rows.start, items)
        order = np.lexsort((items, -values, queries))
        queries, items, values = queries[order], items[order], values[order]
        places = np.arange(len(queries)) - np.searchsorted(queries, queries)
        best = places < k
        ids[rows][queries[best], places[best]] = items[best]
        similarity[rows][queries[best], places[best]] = values[best]
    return ExactNeighbours(
        ids=ids,
        similarity=similarity,
        tolerance=TIE_TOLERANCE * _spread(similarities),
        similarities=similarities,
        self_ids=self_ids,
    )


def _candidates(
    block: NDArray[np.float32], k: int, band: NDArray[np.float32]
) -> tuple[NDArray[np.int64], Ids]:
    """Return the rows and ids of all items that may be among the ``k`` nearest of a block's queries."""
    lowest = np.maximum(_at_most_kth(block, k) - band, np.finfo(np.float32).min)
    queries, items = np.nonzero(block >= lowest[:, None])
    return queries, items


def _at_most_kth(block: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return for each row a value that at least ``k`` others reach, and few more.

    The k-th best of the best of many groups of items: one pass instead of a partial sort. Groups are
    interleaved, because neighbours often stand side by side.
    """
    n_rows, n_base = block.shape
    n_groups = min(_GROUPS_PER_NEIGHBOUR * k, n_base)
    width = n_base // n_groups
    best = block[:, : width * n_groups].reshape(n_rows, width, n_groups).max(axis=1)
    kth: NDArray[np.float32] = np.partition(best, n_groups - k, axis=1)[:, n_groups - k]
    return kth


def _spread(similarities: Similarities) -> NDArray[np.float64]:
    """Return ``(n_queries,)`` the standard deviation of each query's similarities.

    Of an evenly spaced sample of the base, in float64 and in blocks of a fixed size, so that it does
    not depend on how much memory there is.
    """
    base = similarities.base
    rows = np.unique(np.linspace(0, len(base) - 1, min(len(base), _SPREAD_SAMPLE)).astype(np.int64))
    sample = base[rows].astype(np.float64)
    squares = np.einsum("ij,ij->i", sample, sample)
    spread = np.empty(len(similarities.queries))
    for start in range(0, len(spread), _SPREAD_QUERIES):
        part = slice(start, start + _SPREAD_QUERIES)
        products = similarities.queries[part].astype(np.float64) @ sample.T
        values = 2 * products - squares if similarities.space == "l2" else products
        spread[part] = values.std(axis=1)
    return spread
