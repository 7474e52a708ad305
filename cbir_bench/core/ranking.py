"""The nouns RawHits, Ranking and PositiveRanks: from a library's answer to what a metric sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The top ``k`` base items of every query, best first.

    Attributes:
        ids: ``(n_queries, k)`` base rows, none twice in a row; ``NO_ITEM`` pads the tail.
        n_base: items in the base; every id is below it.

    Raises:
        InvalidArrayError: if one of these promises is broken.
    """

    ids: Ids
    n_base: int

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.dtype != np.int64:
            raise InvalidArrayError(
                f"A ranking has shape {self.ids.shape} and type {self.ids.dtype}; "
                "(n_queries, k) int64 is needed. Correct the index's unpack()."
            )
        if self.ids.size and (self.ids.max() >= self.n_base or self.ids.min() < NO_ITEM):
            wrong = self.ids[(self.ids >= self.n_base) | (self.ids < NO_ITEM)][0]
            raise InvalidArrayError(
                f"A ranking holds the id {wrong}, but the base has {self.n_base} items. "
                "The index answers nonsense."
            )
        self._check_padding()
        self._check_twice()

    def _check_padding(self) -> None:
        gap = (self.ids[:, :-1] == NO_ITEM) & (self.ids[:, 1:] != NO_ITEM)
        if gap.any():
            query = int(np.flatnonzero(gap.any(1))[0])
            raise InvalidArrayError(
                f"The ranking of query {query} has a gap before its last result. "
                "Pad only the tail in the index's unpack()."
            )

    def _check_twice(self) -> None:
        ordered = np.sort(self.ids, axis=1)
        twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_ITEM)
        if twice.any():
            query = int(np.flatnonzero(twice.any(1))[0])
            raise InvalidArrayError(
                f"Query {query} retrieves an item twice, which would inflate recall. "
                "Drop duplicates in the index's unpack()."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PositiveRanks:
    """The ranks of every query's relevant items: all that a binary metric needs to know.

    Attributes:
        ranks: ``(n_found,)`` ranks from 1, ascending within a query, as compressed rows.
        starts: ``(n_queries + 1,)``; query ``q`` has ``ranks[starts[q]:starts[q + 1]]``.
        n_relevant: ``(n_queries,)`` relevant items in the base, found or not.
        depth: how many results were looked at; None for a complete ranking of the base.
    """

    ranks: NDArray[np.int64]
    starts: NDArray[np.int64]
    n_relevant: NDArray[np.int64]
    depth: int | None

    @classmethod
    def from_hits(cls, hits: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> PositiveRanks:
        """Return the ranks of the hits in ``(n_queries, depth)`` booleans."""
        queries, places = np.nonzero(hits)
        counts = np.bincount(queries, minlength=len(hits))
        return cls(
            ranks=places.astype(np.int64) + 1,
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            n_relevant=n_relevant,
            depth=hits.shape[1],
        )

    def __len__(self) -> int:
        return len(self.n_relevant)
