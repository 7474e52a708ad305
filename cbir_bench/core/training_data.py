"""What may be learnt from: the training and validation splits of a data set, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.dataset import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import Dataset, ImageSource, LabelSets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """The items that models, vocabularies and transforms learn from.

    Whoever learns is given this in place of a data set. It has no test images, so that none can leak
    into what is learnt.

    Attributes:
        name: of the data set.
        ids: unique names.
        labels: one or several labels per item.
        splits: ``(n_items,)`` ``Split.TRAIN`` or ``Split.VAL``.
        images: reads pixels by row, counted within these items.
    """

    name: str
    ids: tuple[str, ...]
    labels: LabelSets
    splits: NDArray[np.int8]
    images: ImageSource

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingData:
        """Return a data set without its test split."""
        rows = np.flatnonzero(dataset.splits != Split.TEST)
        return cls(
            name=dataset.name,
            ids=tuple(dataset.ids[row] for row in rows),
            labels=dataset.labels.take(rows),
            splits=dataset.splits[rows],
            images=_SomeImages(dataset.images, rows),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Return the rows of a split, ascending."""
        return np.flatnonzero(self.splits == split)


@dataclass(frozen=True, slots=True)
class _SomeImages:
    """Some of the images of a source, counted from 0; there is no way to the others."""

    source: ImageSource
    places: NDArray[np.int64]

    def read(self, rows: Sequence[int]) -> list[Image]:
        """See ``core.dataset.ImageSource``."""
        if len(rows) and min(rows) < 0:  # would count from the end
            raise IndexError(min(rows))
        return self.source.read(self.places[np.asarray(rows, np.int64)].tolist())
