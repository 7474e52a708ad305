"""Resizing and cropping as timm's evaluation does, by Pillow alone: readers need not load torch.

There are three ways to make a square of an image (timm's ``crop_mode``): the shorter side is resized and
the centre cut out ("center"), both sides are resized to the same length ("squash"), or the longer side
is resized and the rest filled up ("border").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image as PilImage

    from cbir_bench.core.arrays import Image

Squares: TypeAlias = "NDArray[np.uint8]"
"""``(n, 3, size, size)`` RGB from 0 to 255; in memory the channels of a pixel are neighbours."""

_LONGEST: Final = 64
"""Of an image that is more elongated than this, only the middle is resized: its centre is all that is
kept, and resizing all of a picture of one by 20,000 pixels would take gigabytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """A callable from images of any size to one array of squares; cheap to send to other processes.

    Attributes:
        size: height and width of the result in pixels.
        crop_share: the share of the resized side that is kept, as timm's ``crop_pct``.
        mode: "center", "squash" or "border", as timm's ``crop_mode``.
        interpolation: "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos".
        fill: the colour of the borders.
    """

    size: int
    crop_share: float = 1.0
    mode: Literal["center", "squash", "border"] = "center"
    interpolation: str = "bicubic"
    fill: tuple[int, int, int] = (0, 0, 0)

    def __call__(self, images: Sequence[Image]) -> Squares:
        """Return the images as one array.

        Args:
            images: ``(height, width, 3)`` uint8 RGB each; they are not changed.
        """
        return Pyramid((self,))(images)[0]

    def at(self, size: int) -> Preparation:
        """Return the same for squares of another size."""
        return replace(self, size=size)

    def square(self, image: Image) -> Image:
        """Return one image as ``(size, size, 3)``."""
        target = math.floor(self.size / self.crop_share)
        if image.shape[:2] == (self.size, self.size) == (target, target):
            return image  # resizing would change nothing but the time it takes
        from PIL import Image as Pillow

        if self.mode == "center":
            image = _middle(image)
        width, height = self._resized(image, target)
        filter_ = Pillow.Resampling[self.interpolation.upper()]
        resized = Pillow.fromarray(image).resize((width, height), filter_)
        return np.asarray(self._cut_out(resized))

    def _resized(self, image: Image, target: int) -> tuple[int, int]:
        """Return the width and height of the whole image after resizing."""
        height, width = image.shape[:2]
        if self.mode == "squash":
            return target, target
        if self.mode == "border":
            ratio = max(height / target, width / target)
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        if width <= height:
            return target, int(target * height / width)
        return int(target * width / height), target

    def _cut_out(self, resized: PilImage) -> PilImage:
        """Return the square in the middle; what lies beyond the image has the colour ``fill``."""
        from PIL import Image as Pillow

        left, top = (_start(side, self.size) for side in resized.size)
        if min(resized.size) >= self.size:
            return resized.crop((left, top, left + self.size, top + self.size))
        square = Pillow.new("RGB", (self.size, self.size), self.fill)
        square.paste(resized, (-left, -top))
        return square


def _start(side: int, size: int) -> int:
    """Return where the middle ``size`` pixels of a side begin; below 0 where the side is shorter."""
    return round((side - size) / 2) if side >= size else -((size - side) // 2)


def _middle(image: Image) -> Image:
    height, width = image.shape[:2]
    longest = _LONGEST * min(height, width)
    top, left = (max(0, (side - longest) // 2) for side in (height, width))
    return image[top : top + longest, left : left + longest]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """A callable from images of any size to one array of squares for each of several sizes.

    Every size is resized from the image itself, so that the larger ones show all that there is in it.
    """

    sizes: tuple[Preparation, ...]

    def __call__(self, images: Sequence[Image]) -> tuple[Squares, ...]:
        """Return the images at each size, having looked at each image once."""
        squares = [np.empty((len(images), one.size, one.size, 3), np.uint8) for one in self.sizes]
        for row, image in enumerate(images):
            for prepare, block in zip(self.sizes, squares, strict=True):
                block[row] = prepare.square(image)
        return tuple(block.transpose(0, 3, 1, 2) for block in squares)
