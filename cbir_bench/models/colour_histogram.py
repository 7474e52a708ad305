"""A joint colour histogram: a floor that any learned model should beat.

Swain and Ballard, "Color Indexing", IJCV 1991; square root (Hellinger kernel): Arandjelovic and
Zisserman, CVPR 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned


@MODELS.register("colour_histogram")
@dataclass(frozen=True, kw_only=True)
class ColourHistogram:
    """The share of pixels in each colour bin, square-rooted, so that a cosine compares histograms.

    The square roots of shares that add up to 1 have length 1: the cosine of two vectors is the
    Bhattacharyya coefficient of the histograms.

    Attributes:
        bins: equal intervals of each of the three channels; the vector has bins ** 3 numbers.
        colours: "rgb", or "hsv" (hue, saturation, value, as Pillow computes them).
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("PIL",)
    TRAINABLE: ClassVar[bool] = False

    bins: Annotated[int, Ge(2), Le(32)] = 8
    colours: Literal["rgb", "hsv"] = "rgb"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.bins**3

    def weights_hash(self, context: DataContext) -> str:  # noqa: ARG002
        """Return "none": there are no weights."""
        return "none"

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:  # noqa: ARG002
        """Return itself."""
        return self

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Refuse: there is nothing to train."""
        raise SettingError(
            "A colour histogram has nothing to train. Drop its [model.training] table."
        )

    def prepare(self, images: Sequence[Image]) -> Matrix:
        """Return the histograms of a batch: all that there is to do."""
        return np.stack([self._histogram(image) for image in images])

    def embed(self, batches: Iterable[Matrix]) -> Iterable[Matrix]:
        """Return the histograms as they are."""
        return batches

    def _histogram(self, image: Image) -> Matrix:
        pixels = image if self.colours == "rgb" else _hsv(image)
        interval = pixels.reshape(-1, 3).astype(np.intp) * self.bins >> 8
        one_code = interval @ np.array([self.bins**2, self.bins, 1])
        counts = np.bincount(one_code, minlength=self.dim)
        shares: Matrix = (counts / counts.sum()).astype(np.float32)
        return np.sqrt(shares)


def _hsv(image: Image) -> Image:
    from PIL import Image as PilImage

    return np.asarray(PilImage.fromarray(image).convert("HSV"))
