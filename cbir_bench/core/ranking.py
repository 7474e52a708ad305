"""The nouns RawHits, Ranking and PositiveRanks: from a library's answer to what a metric sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.item_lists import ItemLists


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
class Grades:
    """The gains of all relevant items of every query, found or not: what the ideal ranking collects.

    Attributes:
        values: ``(n_relevant.sum(),)`` gains above 0, descending within a query.
        starts: ``(n_queries + 1,)``; query ``q`` has ``values[starts[q]:starts[q + 1]]``.
        highest: the gain of the most relevant item that there could be.
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    highest: float

    @classmethod
    def of(cls, lists: ItemLists, highest: float) -> Grades:
        """Return the gains of lists of relevant items; 1 each where they have none."""
        gains = np.ones(len(lists.items)) if lists.gains is None else lists.gains
        order = np.lexsort((-gains, lists.queries))
        return cls(values=gains[order], starts=lists.starts, highest=highest)

    @classmethod
    def joined(cls, parts: Sequence[Grades]) -> Grades:
        """Return the gains of consecutive queries, given in parts, as one."""
        counts = np.concatenate([np.diff(part.starts) for part in parts])
        return cls(
            values=np.concatenate([part.values for part in parts]),
            starts=np.concatenate([[0], np.cumsum(counts)]),
            highest=parts[0].highest,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PositiveRanks:
    """The ranks of every query's relevant items: all that a metric of relevance needs to know.

    Attributes:
        ranks: ``(n_found,)`` ranks from 1, ascending within a query, as compressed rows.
        starts: ``(n_queries + 1,)``; query ``q`` has ``ranks[starts[q]:starts[q + 1]]``.
        n_relevant: ``(n_queries,)`` relevant items in the base, found or not.
        depth: how many results of every query were looked at; None for a complete ranking of the base.
        gains: ``(n_found,)`` how relevant the item at each rank is; None where all are alike.
        grades: the gains of all relevant items; given if ``gains`` is.
        n_removed: the most results of a query that were removed, as junk, before ranks were counted.
    """

    ranks: NDArray[np.int64]
    starts: NDArray[np.int64]
    n_relevant: NDArray[np.int64]
    depth: int | None
    gains: NDArray[np.float64] | None = None
    grades: Grades | None = None
    n_removed: int = 0

    @classmethod
    def from_hits(
        cls,
        hits: NDArray[np.bool_],
        n_relevant: NDArray[np.int64],
        *,
        removed: NDArray[np.bool_] | None = None,
        gains: NDArray[np.float64] | None = None,
        grades: Grades | None = None,
    ) -> PositiveRanks:
        """Return the ranks of the hits in ``(n_queries, depth)`` booleans.

        Args:
            hits: True where a result is relevant.
            n_relevant: ``(n_queries,)`` relevant items in the base, found or not.
            removed: True where a result does not count at all, as junk; what is below it moves up, and
                the ranking is as deep as the shortest that is left.
            gains: ``(n_queries, depth)`` how relevant each result is.
            grades: with ``gains``: those of all relevant items.
        """
        n_queries, depth = hits.shape
        n_removed = 0
        flat = np.flatnonzero(hits)
        starts = np.searchsorted(flat, np.arange(n_queries + 1) * depth)
        ranks = flat - np.repeat(np.arange(n_queries) * depth, np.diff(starts)) + 1
        if removed is not None and removed.any():
            above = np.cumsum(removed, axis=1)
            ranks -= above.ravel()[flat]
            n_removed = int(above[:, -1].max())
        return cls(
            ranks=ranks.astype(np.int64, copy=False),
            starts=starts.astype(np.int64, copy=False),
            n_relevant=n_relevant,
            depth=depth - n_removed,
            gains=None if gains is None else gains.ravel()[flat],
            grades=grades,
            n_removed=n_removed,
        )

    @classmethod
    def joined(cls, parts: Sequence[PositiveRanks]) -> PositiveRanks:
        """Return the ranks of consecutive queries, given in parts of the same depth, as one."""
        counts = [np.diff(part.starts) for part in parts]
        gains = [part.gains for part in parts if part.gains is not None]
        grades = [part.grades for part in parts if part.grades is not None]
        return cls(
            ranks=np.concatenate([part.ranks for part in parts]),
            starts=np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
            n_relevant=np.concatenate([part.n_relevant for part in parts]),
            depth=parts[0].depth,
            gains=np.concatenate(gains) if gains else None,
            grades=Grades.joined(grades) if grades else None,
            n_removed=max(part.n_removed for part in parts),
        )

    def completed(self) -> PositiveRanks:
        """Return the same ranks as those of complete rankings."""
        return replace(self, depth=None)

    def __len__(self) -> int:
        return len(self.n_relevant)
