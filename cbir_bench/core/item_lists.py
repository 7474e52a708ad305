"""The noun ItemLists: for every query some items of the base, as compressed rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemLists:
    """Some base items of every query: those that are relevant, or that are not to be looked at.

    Attributes:
        items: base ids, ascending and none twice within a query.
        starts: ``(n_queries + 1,)``; query ``q`` has ``items[starts[q]:starts[q + 1]]``.
        gains: as many as ``items``, above 0: how relevant each is; None where all are alike.
    """

    items: Ids
    starts: NDArray[np.int64]
    gains: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls, lists: Iterable[Sequence[int]], gains: Iterable[Sequence[float]] | None = None
    ) -> ItemLists:
        """Return the lists of queries, in any order within a query.

        Args:
            lists: base ids of each query.
            gains: as long as ``lists``.

        Raises:
            InvalidArrayError: if a query has an item twice, or a gain is not above 0.
        """
        rows = [np.asarray(one, np.int64) for one in lists]
        starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        items = np.concatenate([*rows, np.empty(0, np.int64)])
        queries = np.repeat(np.arange(len(rows)), np.diff(starts))
        order = np.lexsort((items, queries))
        items = items[order]
        twice = np.flatnonzero((np.diff(items) == 0) & (np.diff(queries) == 0))
        if len(twice):
            raise InvalidArrayError(
                f"Query {queries[twice[0]]} lists item {items[twice[0]]} twice. List it once."
            )
        if gains is None:
            return cls(items=items, starts=starts)
        values = np.concatenate([*(np.asarray(g, np.float64) for g in gains), np.empty(0)])[order]
        if not (np.isfinite(values) & (values > 0)).all():
            raise InvalidArrayError(
                "The gain of a relevant item has to be above 0 and finite. Leave out what is not relevant."
            )
        return cls(items=items, starts=starts, gains=values)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """``(n_queries,)`` items of each query."""
        return np.diff(self.starts)

    @cached_property
    def queries(self) -> NDArray[np.int64]:
        """As many as ``items``: the query that each belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def rows(self, rows: slice) -> ItemLists:
        """Return the lists of consecutive queries."""
        starts = self.starts[rows.start : rows.stop + 1]
        inside = slice(starts[0], starts[-1])
        return ItemLists(
            items=self.items[inside],
            starts=starts - starts[0],
            gains=None if self.gains is None else self.gains[inside],
        )

    def where(self, kept: NDArray[np.bool_]) -> ItemLists:
        """Return the lists with only those items for which ``kept``, as long as ``items``, is True."""
        if kept.all():
            return self
        counts = np.bincount(self.queries[kept], minlength=len(self))
        return ItemLists(
            items=self.items[kept],
            starts=np.concatenate([[0], np.cumsum(counts)]),
            gains=None if self.gains is None else self.gains[kept],
        )

    def without(self, others: ItemLists) -> ItemLists:
        """Return the lists without the items that ``others`` has for the same query."""
        if not len(others.items) or not len(self.items):
            return self
        n_base = int(max(self.items.max(), others.items.max())) + 1
        theirs = others.queries * n_base + others.items
        mine = self.queries * n_base + self.items
        return self.where(~_among(theirs, mine)[1])

    def find(self, ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where in ``items`` each of ``(n_queries, k)`` ids stands, and whether it does.

        The place of an id that is not in its query's list says nothing. ``NO_ITEM`` never is.
        """
        n_base = max(int(self.items.max(initial=0)), int(ids.max(initial=0))) + 2
        keys = self.queries * n_base + self.items + 1
        wanted = np.arange(len(ids))[:, None] * n_base + ids + 1
        places, found = _among(keys, wanted)
        return places, found & (ids != NO_ITEM)


def _among(
    ascending: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where in ``ascending`` numbers the wanted ones would be, and whether they are there."""
    if not len(ascending):
        return np.zeros(wanted.shape, np.int64), np.zeros(wanted.shape, bool)
    places = np.searchsorted(ascending, wanted).clip(max=len(ascending) - 1)
    return places, ascending[places] == wanted


def ragged_ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``starts[i], starts[i] + 1, ...`` with ``counts[i]`` numbers for each i, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
