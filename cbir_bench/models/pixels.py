"""A small copy of the image itself as its vector: a floor that any learned model should beat.

Torralba, Fergus and Freeman, "80 Million Tiny Images", TPAMI 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned


@MODELS.register("pixels")
@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The image shrunk to a small square, its mean subtracted, scaled to length 1.

    Without the mean, the cosine of two images is their correlation. An image of one single value has
    nothing left then; it gets the vector of equal numbers, which is at right angles to every
    image that has something left, and the same as that of every other such image.

    Attributes:
        size: height and width of the small copy in pixels; the vector has 3 * size ** 2 numbers.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("PIL",)
    TRAINABLE: ClassVar[bool] = False

    size: Annotated[int, Ge(1), Le(256)] = 16

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return 3 * self.size**2

    def weights_hash(self, context: DataContext) -> str:  # noqa: ARG002
        """Return "none": there are no weights."""
        return "none"

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:  # noqa: ARG002
        """Return itself."""
        return self

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Refuse: there is nothing to train."""
        raise SettingError("Raw pixels have nothing to train. Drop their [model.training] table.")

    def prepare(self, images: Sequence[Image]) -> Matrix:
        """Return the shrunk images of a batch: all that there is to do."""
        small = np.stack([self._shrunk(image) for image in images]).reshape(len(images), -1)
        centred = small - small.mean(axis=1, keepdims=True)
        centred[np.ptp(small, axis=1) == 0] = 1
        return unit_rows(centred)

    def embed(self, batches: Iterable[Matrix]) -> Iterable[Matrix]:
        """Return the shrunk images as they are."""
        return batches

    def _shrunk(self, image: Image) -> Matrix:
        from PIL import Image as PilImage

        box = PilImage.Resampling.BOX  # the mean of the pixels that each small one covers
        shrunk = PilImage.fromarray(image).resize((self.size, self.size), box)
        return np.asarray(shrunk, np.float32)
