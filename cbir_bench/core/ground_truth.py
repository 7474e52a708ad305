"""The noun GroundTruth: which rows are queries, which are the base, and who is relevant to whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.item_lists import ItemLists, ragged_ranges
from cbir_bench.core.ranking import Grades, PositiveRanks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.dataset import LabelSets

_QUERIES_AT_ONCE: Final = 1024
_LISTS_AT_ONCE: Final = 128
"""Few enough that what is looked up for them stays in the cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundTruth:
    """Queries, base, and the relevance between them: two items match if they share a label.

    Attributes:
        query_rows: ``(n_queries,)`` rows of the embeddings that are queries; where queries are texts,
            places in ``query_texts``.
        base_rows: ``(n_base,)`` rows of the embeddings that are searched.
        query_labels: label sets of the queries.
        base_labels: label sets of the base, with the same codes.
        self_ids: ``(n_queries,)`` the base id that is the query itself and is never a result;
            ``NO_ITEM`` where the query is not in the base.
        judged: the relevant items of each query where somebody has listed them; they are in the
            place of shared labels.
        junk: items of each query that are removed from its rankings before anything is counted:
            neither relevant nor wrong.
        graded: whether items that share more of their labels are more relevant: the gain of an item is
            the Jaccard overlap of its labels with the query's. Judged items bring their own gains.
        query_texts: what is asked where queries are texts; their vectors come from a model's text tower.
            Empty where queries are images.

    Raises:
        InvalidArrayError: if arrays differ in length, an id is beyond the base, or a text is none of
            those given or is said to be in the base.
    """

    query_rows: NDArray[np.int64]
    base_rows: NDArray[np.int64]
    query_labels: LabelSets
    base_labels: LabelSets
    self_ids: Ids
    judged: ItemLists | None = None
    junk: ItemLists | None = None
    graded: bool = False
    query_texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {
            "queries": len(self.query_rows),
            "query labels": len(self.query_labels),
            "ids of queries themselves": len(self.self_ids),
        }
        if self.judged is not None:
            lengths["lists of judged items"] = len(self.judged)
        if self.junk is not None:
            lengths["lists of junk"] = len(self.junk)
        _check_equal(lengths)
        _check_equal({"base items": len(self.base_rows), "base labels": len(self.base_labels)})
        self._check_ids("is itself", self.self_ids)
        for what, lists in (("judges", self.judged), ("has as junk", self.junk)):
            if lists is not None:
                self._check_ids(what, lists.items)
        if self.query_texts:
            self._check_texts()

    def _check_texts(self) -> None:
        rows, n_texts = self.query_rows, len(self.query_texts)
        if len(rows) and not 0 <= rows.min() <= rows.max() < n_texts:
            raise InvalidArrayError(
                f"A query is the text {rows.max() if rows.max() >= n_texts else rows.min()}, but there "
                f"are {n_texts} texts, counted from 0. Count query_rows within query_texts."
            )
        if self.leave_one_out:
            raise InvalidArrayError(
                "A query that is a text is said to be an item of the base, which has images. "
                "Set self_ids to -1."
            )

    def _check_ids(self, what: str, ids: Ids) -> None:
        if len(ids) and ids.max() >= len(self.base_rows):
            raise InvalidArrayError(
                f"A query {what} the item {ids.max()}, but the base has {len(self.base_rows)} items, "
                "counted from 0. Leave out what is not in the base."
            )

    @property
    def leave_one_out(self) -> bool:
        """Whether any query is an item of the base."""
        return bool((self.self_ids != NO_ITEM).any())

    @property
    def symmetric(self) -> bool:
        """Whether every item is a query against all others, and relevant to whatever is relevant to it.

        Then one similarity serves two queries.
        """
        return (
            self.judged is None
            and self.junk is None
            and len(self.query_rows) == len(self.base_rows)
            and np.array_equal(self.query_rows, self.base_rows)
            and np.array_equal(self.self_ids, np.arange(len(self.base_rows)))
            and np.array_equal(self.query_labels.codes, self.base_labels.codes)
            and np.array_equal(self.query_labels.starts, self.base_labels.starts)
        )

    @property
    def classes(self) -> NDArray[np.int64]:
        """``(n_queries,)`` the class of each query: of several labels, the first by name."""
        return self.query_labels.first()

    @cached_property
    def n_relevant(self) -> NDArray[np.int64]:
        """``(n_queries,)`` relevant base items of each query, itself and junk not counted."""
        if self._by_class:
            counts = np.bincount(self.base_labels.codes, minlength=len(self.base_labels.names))
            found = counts[self.query_labels.codes] - (self.self_ids != NO_ITEM)
            return np.asarray(found - self._n_junk_alike(), np.int64)
        n_queries = len(self.query_rows)
        starts = range(0, n_queries, _QUERIES_AT_ONCE)
        blocks = [slice(start, min(start + _QUERIES_AT_ONCE, n_queries)) for start in starts]
        lengths = [self.relevant_items(rows).counts for rows in blocks]
        return np.concatenate([np.empty(0, np.int64), *lengths])

    def relevant(self, query: int) -> NDArray[np.bool_]:
        """Return ``(n_base,)`` True where a base item is relevant to one query."""
        match = np.zeros(len(self.base_rows), bool)
        match[self.relevant_items(slice(query, query + 1)).items] = True
        return match

    def relevant_items(self, rows: slice) -> ItemLists:
        """Return the relevant items of consecutive queries, with their gains where these differ."""
        if self.judged is None:
            lists = self._alike(rows)
        else:
            lists = self.judged.rows(rows)
        lists = lists.where(lists.items != self.self_ids[rows][lists.queries])
        return lists if self.junk is None else lists.without(self.junk.rows(rows))

    def ignored_items(self, rows: slice) -> ItemLists:
        """Return what stands in no ranking of consecutive queries: junk, and the query itself."""
        own = self.self_ids[rows]
        there = own != NO_ITEM
        lists = ItemLists(
            items=own[there], starts=np.concatenate([[0], np.cumsum(there)]).astype(np.int64)
        )
        return lists if self.junk is None else lists.union(self.junk.rows(rows))

    def hits(self, ids: Ids) -> NDArray[np.bool_]:
        """Return ``(n_queries, k)`` True where a retrieved id is relevant; padding never is."""
        return self._hits(ids, self._removed(ids))

    def positives(self, ids: Ids) -> PositiveRanks:
        """Return the ranks of the relevant items in ``(n_queries, k)`` results.

        Junk and the query itself are removed first: what stood below them moves up. A ranking that
        holds all of the base is a complete one.
        """
        removed = self._removed(ids)
        gains, grades = None, None
        if self.graded or (self.judged is not None and self.judged.gains is not None):
            gains = self._gains(ids)
            hits = gains > 0
            lists = self.relevant_items(slice(0, len(ids)))
            grades = Grades.of(lists, self.highest_gain)
        else:
            hits = self._hits(ids, removed)
        ranks = PositiveRanks.from_hits(
            hits, self.n_relevant, removed=removed, gains=gains, grades=grades
        )
        return ranks.completed() if self._complete(ids, removed) else ranks

    def _removed(self, ids: Ids) -> NDArray[np.bool_] | None:
        """Return ``(n_queries, k)`` True where a retrieved id is junk or the query itself, if any can be."""
        removed: NDArray[np.bool_] | None = None
        if self.leave_one_out:
            removed = (ids == self.self_ids[:, None]) & (ids != NO_ITEM)
        if self.junk is not None:
            junk = self.junk.find(ids)[1]
            removed = junk if removed is None else removed | junk
        return removed

    def _hits(self, ids: Ids, removed: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if not self._by_class:
            return self._gains(ids) > 0
        match, mine = np.empty(ids.shape, bool), self.query_labels.codes.astype(np.int32)
        for start in range(0, len(ids), _LISTS_AT_ONCE):
            rows = slice(start, start + _LISTS_AT_ONCE)
            np.equal(self._codes.take(ids[rows]), mine[rows, None], out=match[rows])
        return match if removed is None else match & ~removed

    @cached_property
    def _codes(self) -> NDArray[np.int32]:
        """The base's classes, and behind them, where ``NO_ITEM`` looks, one that no query has."""
        return np.append(self.base_labels.codes, -1).astype(np.int32)

    def _complete(self, ids: Ids, removed: NDArray[np.bool_] | None) -> bool:
        """Return whether every query's results are all that it could find."""
        most = 1 if self.junk is None else 1 + int(self.junk.counts.max(initial=0))
        if ids.shape[1] < len(self.base_rows) - most:
            return False
        n_ignored = self.ignored_items(slice(0, len(ids))).counts
        listed = ids != NO_ITEM
        n_listed = np.count_nonzero(listed if removed is None else listed & ~removed, axis=1)
        return bool((n_listed == len(self.base_rows) - n_ignored).all())

    @property
    def highest_gain(self) -> float:
        """The gain of the most relevant item that there could be: 1, or the highest that was judged."""
        if self.judged is None or self.judged.gains is None:
            return 1.0
        return float(self.judged.gains.max(initial=1.0))

    def _gains(self, ids: Ids) -> NDArray[np.float64]:
        """Return ``(n_queries, k)`` the gain of every result, 0 where it is not relevant."""
        gains = np.zeros(ids.shape)
        for start in range(0, len(ids), _QUERIES_AT_ONCE):
            rows = slice(start, min(start + _QUERIES_AT_ONCE, len(ids)))
            lists = self.relevant_items(rows)
            places, found = lists.find(ids[rows])
            gains[rows][found] = 1.0 if lists.gains is None else lists.gains[places[found]]
        return gains

    def _alike(self, rows: slice) -> ItemLists:
        """Return the items that share a label with each of consecutive queries, themselves included."""
        members, first = self._by_label
        labels = self.query_labels
        bounds = labels.starts[rows.start : rows.stop + 1]
        codes = labels.codes[bounds[0] : bounds[-1]]
        n_items = first[codes + 1] - first[codes]
        items = members[ragged_ranges(first[codes], n_items)]
        queries = np.repeat(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)), n_items)
        gains = None
        if not self._single:
            n_base = len(self.base_rows)
            keys, shared = np.unique(queries * n_base + items, return_counts=True)
            queries, items = np.divmod(keys, n_base)
            if self.graded:
                n_mine, n_theirs = np.diff(bounds)[queries], np.diff(self.base_labels.starts)[items]
                gains = shared / (n_mine + n_theirs - shared)
        counts = np.bincount(queries, minlength=len(bounds) - 1)
        return ItemLists(items=items, starts=np.concatenate([[0], np.cumsum(counts)]), gains=gains)

    def _n_junk_alike(self) -> NDArray[np.int64] | int:
        """Return ``(n_queries,)`` how many junk items would be relevant, themselves not counted."""
        if self.junk is None:
            return 0
        queries, items = self.junk.queries, self.junk.items
        alike = self.base_labels.codes[items] == self.query_labels.codes[queries]
        alike &= items != self.self_ids[queries]
        return np.bincount(queries[alike], minlength=len(self.query_rows))

    @cached_property
    def _by_label(self) -> tuple[Ids, NDArray[np.int64]]:
        """Base items label by label, and where each label's begin."""
        base = self.base_labels
        order = np.argsort(base.codes, kind="stable")
        counts = np.bincount(base.codes, minlength=len(base.names))
        items = np.repeat(np.arange(len(base)), np.diff(base.starts))
        return items[order], np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def _single(self) -> bool:
        return self.query_labels.single and self.base_labels.single

    @property
    def _by_class(self) -> bool:
        """Whether items are relevant to each other exactly if their one label is the same."""
        return self._single and self.judged is None


def _check_equal(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} {what}" for what, n in lengths.items())
        raise InvalidArrayError(f"There are {shown}. Give as many of each.")
