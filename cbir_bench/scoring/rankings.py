"""Rankings and hits as anyone has them: lists of ids, booleans, gains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.scoring.vectors import as_array

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.metrics.names import MetricName

WITHOUT_R: Final = ("precision", "hit_rate", "mrr")
"""Metrics that do not ask how many relevant items there are."""


def as_ids(ids: Any, n_base: int) -> Ids:
    """Return ``(n_queries, depth)`` base rows, shorter lists padded with ``NO_ITEM``.

    Args:
        ids: a matrix, or a list for each query; -1 may pad the tail.
        n_base: how many items there are.

    Raises:
        InvalidArrayError: if it is neither, an id is no item of the base, or a query has one twice.
    """
    matrix = _padded(ids) if isinstance(ids, list | tuple) else as_array(ids, "ids")
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "iu":
        raise InvalidArrayError(
            f"The ids have shape {matrix.shape} and type {matrix.dtype}. "
            "Give a row of whole numbers for each query."
        )
    rows: Ids = matrix.astype(np.int64)
    _refuse_unknown(rows, n_base)
    _refuse_gaps(rows)
    _refuse_twice(rows)
    return rows


def as_hits(hits: Any) -> NDArray[np.float64]:
    """Return ``(n_queries, depth)`` gains at least 0: booleans, or how relevant each result is.

    Raises:
        InvalidArrayError: if it is no such matrix.
    """
    array = as_array(hits, "hits")
    if array.ndim == 1 and array.dtype.kind in "biuf":
        array = array[None]
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "biuf":
        raise InvalidArrayError(
            f"The hits have shape {array.shape} and type {array.dtype}. "
            "Give a row of booleans or gains for each query, all of one length."
        )
    gains: NDArray[np.float64] = array.astype(np.float64)
    wrong = ~(np.isfinite(gains) & (gains >= 0))
    if wrong.any():
        raise InvalidArrayError(
            f"The hits hold {gains[wrong][0]}, which is no gain. Give 0 for what is not relevant, and "
            "finite numbers above 0 for what is."
        )
    return gains


def positives_of_hits(
    gains: NDArray[np.float64], n_relevant: Any, ideal: Any, names: Iterable[MetricName]
) -> PositiveRanks:
    """Return the ranks of relevant results.

    Args:
        gains: ``(n_queries, depth)`` 0 where a result is not relevant.
        n_relevant: ``(n_queries,)`` relevant items in the base; None if nobody knows.
        ideal: the gains of all relevant items of each query; None if all are alike or were found.
        names: metrics, of which some ask for ``n_relevant``.

    Raises:
        InvalidArrayError: if more was found than there is.
        SettingError: if a metric asks for what was not given.
    """
    hits = gains > 0
    n_found = hits.sum(axis=1)
    counts = _counts(n_relevant, ideal, n_found)
    if counts is None:
        _refuse_unknowable(names)
        counts = np.maximum(n_found, 1)
    if not (gains[hits] != 1).any() and ideal is None:
        return PositiveRanks.from_hits(hits, counts)
    if ideal is None and not np.array_equal(counts, n_found):
        raise SettingError(
            "Some results are more relevant than others, but the gains of what was not found are unknown. "
            "Give ideal_gains, those of all relevant items of each query."
        )
    grades = _grades([row[row > 0] for row in gains] if ideal is None else ideal)
    return PositiveRanks.from_hits(hits, counts, gains=gains, grades=grades)


def _counts(n_relevant: Any, ideal: Any, n_found: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return ``(n_queries,)`` relevant items of each query, if they can be known."""
    if n_relevant is None and ideal is None:
        return None
    given = [len(row) for row in ideal] if n_relevant is None else n_relevant
    counts = as_array(given, "numbers of relevant items")
    if counts.ndim == 0:
        counts = np.full(len(n_found), counts)
    if counts.shape != n_found.shape or counts.dtype.kind not in "iu":
        raise InvalidArrayError(
            f"The numbers of relevant items have shape {counts.shape} and type {counts.dtype} for "
            f"{len(n_found)} queries. Give a whole number for each query."
        )
    if ideal is not None and [len(row) for row in ideal] != counts.tolist():
        raise InvalidArrayError(
            "ideal_gains has other numbers of relevant items than n_relevant. Leave n_relevant out."
        )
    short = np.flatnonzero(counts < n_found)
    if len(short):
        raise InvalidArrayError(
            f"Query {short[0]} has {n_found[short[0]]} relevant results, but n_relevant says that there are "
            f"{counts[short[0]]}. Count all relevant items of the base, found or not."
        )
    return np.asarray(counts, np.int64)


def refuse_more_than(n_relevant: NDArray[np.int64], n_base: int | None) -> None:
    """Refuse more relevant items than there are items.

    Raises:
        InvalidArrayError: if a query has more than ``n_base``; None: nobody knows how many there are.
    """
    most = int(n_relevant.max(initial=0))
    if n_base is not None and most > n_base:
        raise InvalidArrayError(
            f"Query {int(n_relevant.argmax())} has {most} relevant items, but the base has {n_base} items. "
            "Correct n_relevant or n_base."
        )


def _refuse_unknowable(names: Iterable[MetricName]) -> None:
    for name in names:
        if name.metric not in WITHOUT_R:
            raise SettingError(
                f"{name} asks how many relevant items there are, found or not. Give n_relevant; without it "
                f"there are {', '.join(f'{one}@k' for one in WITHOUT_R)} only."
            )


def _grades(ideal: Iterable[Any]) -> Grades:
    lists = [np.asarray(row, np.float64) for row in ideal]
    if not all((np.isfinite(row) & (row > 0)).all() for row in lists):
        raise InvalidArrayError(
            "An ideal gain is not above 0 and finite. Leave out what is not relevant."
        )
    together = ItemLists(
        items=np.concatenate([np.arange(len(row)) for row in lists]),
        starts=np.cumsum([0, *(len(row) for row in lists)], dtype=np.int64),
        gains=np.concatenate(lists),
    )
    highest = max((float(row.max(initial=0.0)) for row in lists), default=0.0)
    return Grades.of(together, max(1.0, highest))


def _padded(lists: list[Any] | tuple[Any, ...]) -> Any:
    rows = [as_array(row, "ids of a query") for row in lists]
    wrong = next((r for r in rows if r.ndim != 1 or (r.size and r.dtype.kind not in "iu")), None)
    if wrong is not None:
        raise InvalidArrayError(
            f"The ids of a query have shape {wrong.shape} and type {wrong.dtype}. "
            "Give a list of whole numbers for each query."
        )
    matrix = np.full((len(rows), max((len(row) for row in rows), default=0)), NO_ITEM, np.int64)
    for place, row in zip(matrix, rows, strict=True):
        place[: len(row)] = row
    return matrix


def _refuse_unknown(ids: Ids, n_base: int) -> None:
    wrong = (ids >= n_base) | (ids < NO_ITEM)
    if wrong.any():
        query, place = np.argwhere(wrong)[0]
        raise InvalidArrayError(
            f"Query {query} retrieves the item {ids[query, place]}, but the base has {n_base} items, counted "
            "from 0. Give rows of the base; -1 pads short lists."
        )


def _refuse_gaps(ids: Ids) -> None:
    gap = ((ids[:, :-1] == NO_ITEM) & (ids[:, 1:] != NO_ITEM)).any(axis=1)
    if gap.any():
        raise InvalidArrayError(
            f"The ranking of query {int(gap.argmax())} has -1 before its last result. Pad only the tail."
        )


def _refuse_twice(ids: Ids) -> None:
    ordered = np.sort(ids, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_ITEM)).any(axis=1)
    if twice.any():
        raise InvalidArrayError(
            f"Query {int(twice.argmax())} retrieves an item twice, which would inflate recall. "
            "Drop duplicates."
        )
