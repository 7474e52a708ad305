"""Scikit-learn's small handwritten digits. Alpaydin and Kaynak, 1998 (UCI, optical recognition)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt

from cbir_bench.core.dataset import Dataset, LabelSets, Role, Split
from cbir_bench.core.hashing import hash_array, key_of
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.splits import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import DataContext


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Glyphs:
    """Small grey images in memory, enlarged when read by repeating each pixel.

    Attributes:
        grey: ``(n, height, width)`` uint8.
        scale: image pixels per pixel, along each side.
    """

    grey: NDArray[np.uint8]
    scale: int

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return the images of some rows: ``(height * scale, width * scale, 3)`` uint8 RGB each."""
        block = np.ones((self.scale, self.scale, 1), np.uint8)
        return [np.kron(self.grey[row][..., None], block).repeat(3, axis=2) for row in rows]


@DATASETS.register("digits")
@dataclass(frozen=True, kw_only=True)
class Digits:
    """1,797 handwritten digits of 8 x 8 pixels, ten classes, the same in training and test.

    Attributes:
        train_fraction: share of each class to train with, below 1.
        scale: how many times each pixel is repeated along both sides: 4 gives 32 x 32 images; 1 to 64.
        seed: decides which digits are in the training share.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    train_fraction: Annotated[float, Ge(0), Lt(1)] = 0.5
    scale: Annotated[int, Ge(1), Le(64)] = 4
    seed: Annotated[int, Ge(0)] = 0

    def open(self, context: DataContext) -> Dataset:  # noqa: ARG002  the protocol's; nothing is looked up
        """Return the data set, which comes with scikit-learn."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # 17 grey levels, strokes light on dark.
        grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        ids = tuple(f"digit{row:04d}" for row in range(len(grey)))
        labels = LabelSets.of(str(label) for label in bunch.target)
        return Dataset(
            name="digits",
            ids=ids,
            labels=labels,
            splits=self._splits(ids, labels),
            roles=np.full(len(ids), Role.ANY, np.int8),
            images=Glyphs(grey=grey, scale=self.scale),
            content_hash=key_of({"digits": hash_array(grey), **asdict(self)}),
            notes=("The ten classes are the same in training and test.",),
        )

    def _splits(self, ids: tuple[str, ...], labels: LabelSets) -> NDArray[np.int8]:
        splits = np.full(len(ids), Split.TEST, np.int8)
        codes = labels.first()
        for code in range(len(labels.names)):
            rows = np.flatnonzero(codes == code)
            chosen = choose((ids[row] for row in rows), self.train_fraction, self.seed)
            splits[[row for row in rows if ids[row] in chosen]] = Split.TRAIN
        return splits
