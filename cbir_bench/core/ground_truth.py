"""The noun GroundTruth: which rows are queries, which are the base, and who is relevant to whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.arrays import NO_ITEM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.dataset import LabelSets


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundTruth:
    """Queries, base, and the relevance between them: two items match if they share a label.

    Attributes:
        query_rows: ``(n_queries,)`` rows of the embeddings that are queries.
        base_rows: ``(n_base,)`` rows of the embeddings that are searched.
        query_labels: label sets of the queries.
        base_labels: label sets of the base, with the same codes.
        self_ids: ``(n_queries,)`` the base id that is the query itself and is never a result;
            ``NO_ITEM`` where the query is not in the base.
    """

    query_rows: NDArray[np.int64]
    base_rows: NDArray[np.int64]
    query_labels: LabelSets
    base_labels: LabelSets
    self_ids: Ids

    @property
    def leave_one_out(self) -> bool:
        """Whether any query is an item of the base."""
        return bool((self.self_ids != NO_ITEM).any())

    @cached_property
    def n_relevant(self) -> NDArray[np.int64]:
        """``(n_queries,)`` relevant base items of each query, itself not counted."""
        if not self._single:
            return np.array([self.relevant(q).sum() for q in range(len(self.query_rows))], np.int64)
        counts = np.bincount(self.base_labels.codes, minlength=len(self.base_labels.names))
        return np.asarray(counts[self.query_labels.codes] - (self.self_ids != NO_ITEM), np.int64)

    def relevant(self, query: int) -> NDArray[np.bool_]:
        """Return ``(n_base,)`` True where a base item is relevant to one query, itself excluded."""
        wanted = np.zeros(len(self.base_labels.names), bool)
        labels = self.query_labels
        wanted[labels.codes[labels.starts[query] : labels.starts[query + 1]]] = True
        match: NDArray[np.bool_] = np.logical_or.reduceat(
            wanted[self.base_labels.codes], self.base_labels.starts[:-1]
        )
        if self.self_ids[query] != NO_ITEM:
            match[self.self_ids[query]] = False
        return match

    def hits(self, ids: Ids) -> NDArray[np.bool_]:
        """Return ``(n_queries, k)`` True where a retrieved id is relevant; padding never is."""
        found = ids != NO_ITEM
        if self._single:
            match = self.base_labels.codes[ids] == self.query_labels.codes[:, None]
            return np.asarray(match & found & (ids != self.self_ids[:, None]), bool)
        rows = [self.relevant(query)[ids[query]] for query in range(len(ids))]
        return np.asarray(np.array(rows, bool).reshape(ids.shape) & found, bool)

    @cached_property
    def _single(self) -> bool:
        return self.query_labels.single and self.base_labels.single
