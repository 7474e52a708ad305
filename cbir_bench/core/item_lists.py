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
            InvalidArrayError: if a query has an item twice, an id is below 0, there are more or fewer
                gains than items, or a gain is not above 0.
        """
        rows = [np.asarray(one, np.int64) for one in lists]
        starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        items = np.concatenate([*rows, np.empty(0, np.int64)])
        queries = np.repeat(np.arange(len(rows)), np.diff(starts))
        order = np.lexsort((items, queries))
        items = items[order]
        _check_items(queries, items)
        if gains is None:
            return cls(items=items, starts=starts)
        values = np.concatenate([*(np.asarray(g, np.float64) for g in gains), np.empty(0)])
        _check_gains(values, len(items))
        return cls(items=items, starts=starts, gains=values[order])

    @classmethod
    def of_pairs(
        cls, queries: NDArray[np.int64], items: Ids, n_queries: int, n_base: int
    ) -> ItemLists:
        """Return the lists of pairs of a query and an item, in any order; a pair counts once.

        Args:
            queries: ``(n_pairs,)`` below ``n_queries``.
            items: ``(n_pairs,)`` base ids, below ``n_base``.
            n_queries: how many lists there are.
            n_base: how many items there are.
        """
        keys = queries * n_base + items
        ascending = bool((keys[1:] > keys[:-1]).all())
        queries, items = np.divmod(keys if ascending else np.unique(keys), max(1, n_base))
        return cls(items=items, starts=_starts(np.bincount(queries, minlength=n_queries)))

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

    def take(self, queries: NDArray[np.int64]) -> ItemLists:
        """Return the lists of some queries, in their order."""
        counts = self.counts[queries]
        places = ragged_ranges(self.starts[queries], counts)
        return ItemLists(
            items=self.items[places],
            starts=_starts(counts),
            gains=None if self.gains is None else self.gains[places],
        )

    def where(self, kept: NDArray[np.bool_]) -> ItemLists:
        """Return the lists with only those items for which ``kept``, as long as ``items``, is True."""
        if kept.all():
            return self
        return ItemLists(
            items=self.items[kept],
            starts=_starts(np.bincount(self.queries[kept], minlength=len(self))),
            gains=None if self.gains is None else self.gains[kept],
        )

    def renumbered(self, new_ids: Ids) -> ItemLists:
        """Return the lists with ``new_ids[i]`` for item ``i``; those that become ``NO_ITEM`` are dropped.

        Args:
            new_ids: an id for each item that there is, ascending but for ``NO_ITEM``.
        """
        kept = self.where(new_ids[self.items] != NO_ITEM)
        return ItemLists(items=new_ids[kept.items], starts=kept.starts, gains=kept.gains)

    def without(self, others: ItemLists) -> ItemLists:
        """Return the lists without the items that ``others`` has for the same query."""
        if not len(others.items) or not len(self.items):
            return self
        n_base = int(max(self.items.max(), others.items.max())) + 1
        theirs = others.queries * n_base + others.items
        mine = self.queries * n_base + self.items
        return self.where(~_among(theirs, mine)[1])

    def union(self, others: ItemLists) -> ItemLists:
        """Return the items that a query has in either; gains are left out."""
        n_base = int(max(self.items.max(initial=0), others.items.max(initial=0))) + 1
        return ItemLists.of_pairs(
            np.concatenate([self.queries, others.queries]),
            np.concatenate([self.items, others.items]),
            len(self),
            n_base,
        )

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


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of consecutive lists begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _check_items(queries: NDArray[np.int64], items: Ids) -> None:
    """Refuse ids below 0 and pairs that are there twice; both are sorted by query, then by item."""
    twice = np.flatnonzero((np.diff(items) == 0) & (np.diff(queries) == 0))
    if len(twice):
        raise InvalidArrayError(
            f"Query {queries[twice[0]]} lists item {items[twice[0]]} twice. List it once."
        )
    negative = np.flatnonzero(items < 0)
    if len(negative):
        raise InvalidArrayError(
            f"Query {queries[negative[0]]} lists item {items[negative[0]]}, but items are counted from 0. "
            "Drop what stands for nothing."
        )


def _check_gains(gains: NDArray[np.float64], n_items: int) -> None:
    if len(gains) != n_items:
        raise InvalidArrayError(
            f"There are {len(gains)} gains for {n_items} items. Give each item its gain."
        )
    if not (np.isfinite(gains) & (gains > 0)).all():
        raise InvalidArrayError(
            "The gain of a relevant item has to be above 0 and finite. Leave out what is not relevant."
        )
