"""What of a data set decides relevance: one of its sets of labels, its cameras, its near-duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset, LabelSets

Choice: TypeAlias = Literal["exclude", "keep"]


class Relevance(NamedTuple):
    """Columns of some items.

    Attributes:
        labels: items that share one are relevant to each other.
        cameras: of items that are junk where they share a label and the camera; None to keep them all.
        groups: near-duplicates, which are junk for each other; None to keep them all.
    """

    labels: LabelSets
    cameras: NDArray[np.int64] | None
    groups: NDArray[np.int64] | None


def relevance(
    dataset: Dataset,
    rows: NDArray[np.int64],
    *,
    labels: str,
    same_camera: Choice,
    near_duplicates: Choice,
) -> Relevance:
    """Return what decides relevance among some rows of a data set.

    Args:
        dataset: the items.
        rows: those that take part.
        labels: name of a set of labels.
        same_camera: whether to keep pictures of the same class by the same camera.
        near_duplicates: whether to keep near-duplicates.

    Raises:
        DataError: if the data set does not have what an option asks for, so that it could have no effect.
    """
    if same_camera == "keep" and dataset.cameras is None:
        raise DataError(
            f'same_camera = "keep" changes nothing for {dataset.name!r}, which tells of no cameras. '
            "Leave the option out."
        )
    if near_duplicates == "exclude" and dataset.groups is None:
        raise DataError(
            f'near_duplicates = "exclude" needs to know those of {dataset.name!r}, but nobody has looked '
            "for them. Look for them first, or give their groups with the data set."
        )
    return Relevance(
        labels=dataset.labels_called(labels).take(rows),
        cameras=_taken(dataset.cameras, rows, same_camera),
        groups=_taken(dataset.groups, rows, near_duplicates),
    )


def _taken(
    codes: NDArray[np.int64] | None, rows: NDArray[np.int64], choice: Choice
) -> NDArray[np.int64] | None:
    return None if codes is None or choice == "keep" else codes[rows]
