"""From labels as they were given to ground truth, with refusals of what could have no result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbir_bench.core.errors import DataError, InvalidArrayError
from cbir_bench.protocols.draw import lots
from cbir_bench.protocols.truth import apart, leave_one_out
from cbir_bench.scoring.labels import as_codes, label_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.scoring.labels import Marks


class Side(NamedTuple):
    """What tells who is relevant to the items of one side.

    Attributes:
        labels: of every item.
        cameras, groups: values as they were given; None if there are none.
    """

    labels: Marks
    cameras: Any = None
    groups: Any = None


def truth_of(
    base: Side,
    queries: Side | None,
    *,
    rows: NDArray[np.int64] | None = None,
    graded: bool = False,
    what: str = "label",
) -> GroundTruth:
    """Return who is relevant to whom.

    Args:
        base: the items that are searched.
        queries: those that are searched for; None if the base's own are, each against all others.
        rows: which of them are queries, ascending; all if None.
        graded: whether relevance is the Jaccard overlap of labels.
        what: what a label is called, for messages.

    Raises:
        DataError: if nothing is relevant to any query, or everything to all.
        InvalidArrayError: if columns differ in length, or are given for one side only.
    """
    if queries is None:
        truth = _of_one(base, rows, graded=graded)
    else:
        truth = _of_two(base, queries, rows, graded=graded)
    if len(truth.base_labels.names) == 1:
        raise DataError(
            f"All items have the same {what} {truth.base_labels.names[0]!r}, so that every ranking is "
            "perfect. Give labels that differ."
        )
    refuse_if_nothing(truth.n_relevant)
    return truth


def refuse_if_nothing(n_relevant: NDArray[np.int64]) -> None:
    """Refuse queries none of which has anything to find.

    Raises:
        DataError: if ``n_relevant`` is 0 for all.
    """
    if not n_relevant.any():
        raise DataError(
            f"Nothing in the base is relevant to any of the {len(n_relevant)} queries. "
            "Check labels and protocol."
        )


def sample(names: Sequence[str], n: int | None, seed: int) -> NDArray[np.int64] | None:
    """Return the rows of ``n`` items drawn by what they are called, ascending; None for all of them."""
    if n is None or n >= len(names):
        return None
    return np.sort(np.argsort(lots(names, seed), kind="stable")[:n])


def check_length(n_items: int, items: str, column: Any, what: str) -> None:
    """Refuse a column that is not as long as the items.

    Raises:
        InvalidArrayError: if it is longer or shorter.
    """
    if column is not None and len(column) != n_items:
        raise InvalidArrayError(
            f"There are {n_items} {items} but {len(column)} {what}. Give one for each, in the same order."
        )


def _of_one(side: Side, rows: NDArray[np.int64] | None, *, graded: bool) -> GroundTruth:
    return leave_one_out(
        label_sets([side.labels])[0],
        queries=rows,
        cameras=None if side.cameras is None else as_codes([side.cameras], "cameras")[0],
        groups=None if side.groups is None else as_codes([side.groups], "groups")[0],
        graded=graded,
    )


def _of_two(
    base: Side, queries: Side, rows: NDArray[np.int64] | None, *, graded: bool
) -> GroundTruth:
    query_labels, base_labels = label_sets([queries.labels, base.labels])
    query_cameras, base_cameras = _both(queries.cameras, base.cameras, "cameras")
    query_groups, base_groups = _both(queries.groups, base.groups, "groups")
    return apart(
        query_labels if rows is None else query_labels.take(rows),
        base_labels,
        query_cameras=query_cameras if rows is None else _taken(query_cameras, rows),
        base_cameras=base_cameras,
        query_groups=query_groups if rows is None else _taken(query_groups, rows),
        base_groups=base_groups,
        graded=graded,
    )


def _both(queries: Any, base: Any, what: str) -> Sequence[NDArray[np.int64] | None]:
    if queries is None and base is None:
        return None, None
    if queries is None or base is None:
        side = "queries" if queries is None else "base"
        raise InvalidArrayError(
            f"The {what} of the {side} are missing. Give those of both, or none."
        )
    return as_codes([queries, base], what)


def _taken(codes: NDArray[np.int64] | None, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if codes is None else codes[rows]
