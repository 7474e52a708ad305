"""From arrays to ground truth: who is relevant to whom, and what stands in nobody's ranking."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.item_lists import ItemLists, ragged_ranges
from cbir_bench.core.judgements import landmark_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.judgements import Difficulty, RevisitedGroundTruth

_DISTRACTOR: Final = "distractor"
_MOST_PAIRS: Final = 1 << 28
"""Of a query and a junk item; some 40 bytes each while they are found."""


def leave_one_out(
    labels: LabelSets,
    *,
    queries: NDArray[np.int64] | None = None,
    cameras: NDArray[np.int64] | None = None,
    groups: NDArray[np.int64] | None = None,
    graded: bool = False,
) -> GroundTruth:
    """Return the ground truth of items that are queries against all others.

    Args:
        labels: of every item; items that share one are relevant to each other.
        queries: rows that are queries, ascending; all if None. The base is every item all the same.
        cameras: ``(n_items,)`` which camera took each; items that share a label and the camera with a
            query are junk for it (Zheng et al., ICCV 2015). Below 0: unknown, no junk.
        groups: ``(n_items,)`` near-duplicates have the same number and are junk for each other, whatever
            their labels. Below 0: in no group.
        graded: whether relevance is the Jaccard overlap of labels.

    Raises:
        InvalidArrayError: if arrays differ in length.
    """
    n_items = len(labels)
    rows = np.arange(n_items) if queries is None else np.asarray(queries, np.int64)
    _check_length("labels", n_items, "cameras", cameras)
    _check_length("labels", n_items, "groups", groups)
    query_labels = labels.take(rows)
    alike = []
    if cameras is not None:
        mine = _of_camera(query_labels, cameras[rows])
        alike.append(_sharing(mine, _of_camera(labels, cameras), n_items))
    if groups is not None:
        alike.append(_sharing(_of_group(groups[rows]), _of_group(groups), n_items))
    junk = _joined(alike)
    return GroundTruth(
        query_rows=rows,
        base_rows=np.arange(n_items),
        query_labels=query_labels,
        base_labels=labels,
        self_ids=rows,
        junk=None if junk is None else junk.where(junk.items != rows[junk.queries]),
        graded=graded,
    )


def apart(
    query_labels: LabelSets,
    base_labels: LabelSets,
    *,
    query_cameras: NDArray[np.int64] | None = None,
    base_cameras: NDArray[np.int64] | None = None,
    query_groups: NDArray[np.int64] | None = None,
    base_groups: NDArray[np.int64] | None = None,
    graded: bool = False,
) -> GroundTruth:
    """Return the ground truth of queries that are no items of the base.

    Rows of queries come first: ``query_rows`` are 0 to ``n_queries - 1``, ``base_rows`` follow.

    Args:
        query_labels: of every query.
        base_labels: of every base item, with the same codes.
        query_cameras: ``(n_queries,)`` as ``cameras`` of ``leave_one_out``.
        base_cameras: ``(n_base,)``, given if those of the queries are.
        query_groups: ``(n_queries,)`` as ``groups`` of ``leave_one_out``.
        base_groups: ``(n_base,)``, given if those of the queries are.
        graded: whether relevance is the Jaccard overlap of labels.

    Raises:
        InvalidArrayError: if arrays differ in length, codes of labels have other names, or one side of
            cameras or groups is missing.
    """
    n_queries, n_base = len(query_labels), len(base_labels)
    if query_labels.names != base_labels.names:
        raise InvalidArrayError(
            "The labels of queries and base have codes of their own, so that equal codes would mean "
            "different labels. Make both from one LabelSets.of(...) with take()."
        )
    alike = []
    if cameras := _both_sides("cameras", query_cameras, base_cameras, n_queries, n_base):
        mine = _of_camera(query_labels, cameras[0])
        alike.append(_sharing(mine, _of_camera(base_labels, cameras[1]), n_base))
    if groups := _both_sides("groups", query_groups, base_groups, n_queries, n_base):
        alike.append(_sharing(_of_group(groups[0]), _of_group(groups[1]), n_base))
    return GroundTruth(
        query_rows=np.arange(n_queries),
        base_rows=np.arange(n_queries, n_queries + n_base),
        query_labels=query_labels,
        base_labels=base_labels,
        self_ids=np.full(n_queries, NO_ITEM, np.int64),
        junk=_joined(alike),
        graded=graded,
    )


def revisited(
    ground_truth: RevisitedGroundTruth, difficulty: Difficulty, n_distractors: int = 0
) -> GroundTruth:
    """Return the ground truth of Revisited Oxford or Paris (Radenovic et al., CVPR 2018).

    Rows of queries come first, then the data set's own images, then distractors, which are relevant to
    nobody. A query without any relevant item at a difficulty has no value and no part in any average.
    Classes, which only averages over classes and intervals look at, are file names without their numbers.

    Args:
        ground_truth: as ``gnd_roxford5k.pkl`` has it.
        difficulty: easy, medium or hard: see ``Judgements.at``.
        n_distractors: images beyond the data set's own at the end of the base, at least 0.

    Raises:
        SettingError: if ``difficulty`` is none of the three, or ``n_distractors`` is negative.
    """
    if difficulty not in {"easy", "medium", "hard"}:
        raise SettingError(f"There is no difficulty {difficulty!r}. Choose easy, medium or hard.")
    if n_distractors < 0:
        raise SettingError(f"There cannot be {n_distractors} distractors. Give 0 or more.")
    n_queries = len(ground_truth.query_names)
    n_base = len(ground_truth.base_names) + n_distractors
    judged = ground_truth.judgements.at(difficulty)
    query_labels, base_labels = _landmarks(ground_truth, n_distractors)
    return GroundTruth(
        query_rows=np.arange(n_queries),
        base_rows=np.arange(n_queries, n_queries + n_base),
        query_labels=query_labels,
        base_labels=base_labels,
        self_ids=np.full(n_queries, NO_ITEM, np.int64),
        judged=judged.relevant,
        junk=judged.junk,
    )


def _landmarks(
    ground_truth: RevisitedGroundTruth, n_distractors: int
) -> tuple[LabelSets, LabelSets]:
    """Return the labels of queries and base; a million distractors share one."""
    names = [*ground_truth.query_names, *ground_truth.base_names]
    labels = LabelSets.of([_DISTRACTOR, *map(landmark_of, names)])
    n_queries, n_own = len(ground_truth.query_names), len(names)
    rows = np.concatenate([np.arange(n_queries + 1, n_own + 1), np.zeros(n_distractors, np.int64)])
    return labels.take(np.arange(1, n_queries + 1)), labels.take(rows)


class _Marks(NamedTuple):
    """Numbers that items bear, one or several; those that bear the same are alike."""

    items: NDArray[np.int64]
    codes: NDArray[np.int64]
    n_items: int


def _of_camera(labels: LabelSets, cameras: NDArray[np.int64]) -> _Marks:
    """Return a mark for each label of an item with its camera."""
    items = np.repeat(np.arange(len(labels)), np.diff(labels.starts))
    known = cameras[items] >= 0
    n_labels = max(1, len(labels.names))
    codes = cameras[items] * n_labels + labels.codes
    return _Marks(items[known], codes[known], len(labels))


def _of_group(groups: NDArray[np.int64]) -> _Marks:
    known = np.flatnonzero(groups >= 0)
    return _Marks(known, groups[known], len(groups))


def _sharing(queries: _Marks, base: _Marks, n_base: int) -> ItemLists:
    """Return the base items that bear a mark of each query.

    Raises:
        InvalidArrayError: if there are more than memory could hold.
    """
    order = np.argsort(base.codes, kind="stable")
    codes, items = base.codes[order], base.items[order]
    first = np.searchsorted(codes, queries.codes, side="left")
    counts = np.searchsorted(codes, queries.codes, side="right") - first
    if counts.sum() > _MOST_PAIRS:
        raise InvalidArrayError(
            f"One camera or group has so many items that {counts.sum():,} pairs of a query and an item are "
            f"junk, where memory holds {_MOST_PAIRS:,}. Look at what made cameras or groups (a cosine that "
            "nearly all pairs reach?), or draw fewer queries."
        )
    found = items[ragged_ranges(first, counts)]
    return ItemLists.of_pairs(np.repeat(queries.items, counts), found, queries.n_items, n_base)


def _joined(lists: list[ItemLists]) -> ItemLists | None:
    """Return what is in any of the lists; None if there are none."""
    return reduce(ItemLists.union, lists) if lists else None


def _both_sides(
    what: str,
    of_queries: NDArray[np.int64] | None,
    of_base: NDArray[np.int64] | None,
    n_queries: int,
    n_base: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return what was given for queries and base, or None if nothing was.

    Raises:
        InvalidArrayError: if one of the two is missing, or they differ in length from the labels.
    """
    if of_queries is None and of_base is None:
        return None
    if of_queries is None or of_base is None:
        side = "queries" if of_queries is None else "base"
        raise InvalidArrayError(
            f"The {what} of the {side} are missing. Give them for both, or none."
        )
    _check_length("labels of queries", n_queries, f"{what} of queries", of_queries)
    _check_length("labels of the base", n_base, f"{what} of the base", of_base)
    return of_queries, of_base


def _check_length(noun: str, n: int, what: str, column: Ids | None) -> None:
    if column is not None and len(column) != n:
        raise InvalidArrayError(
            f"There are {n} {noun} but {len(column)} {what}. Give each item its own, or -1 for none."
        )
