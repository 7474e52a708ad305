"""From an image to its SIFT descriptors. Lowe, "Distinctive image features ...", IJCV 2004."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import cv2
import numpy as np

from cbir_bench.core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image

Descriptors: TypeAlias = "NDArray[np.uint8]"
"""``(n, 128)``: 4 x 4 cells of 8 directions."""
Grey: TypeAlias = "NDArray[np.uint8]"
"""``(height, width)`` grey levels."""

LENGTH: Final = 128
_LEVELS_PER_OCTAVE: Final = 3
_FIRST_BLUR: Final = 1.6
"""Of the image that the smallest patches are described on (Lowe's sigma), in pixels."""
_PATCH: Final = 6.0
"""Side of a patch in diameters of its keypoint: four cells of 1.5 diameters."""
_FAINTEST: Final = 2.0
"""Mean gradient in grey levels per pixel below which a patch of a grid shows nothing: a wall, the sky."""


class Detector(Protocol):
    """Chooses places of an image and describes them."""

    def __call__(self, grey: Grey) -> Descriptors:
        """Return the descriptors of an image."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFeatures:
    """A callable from an image to its descriptors; it keeps nothing of OpenCV's, so threads may share it.

    Attributes:
        detector: chooses and describes places.
        min_size: images whose longer side is shorter are enlarged to it, in pixels.
        max_size: images whose longer side is longer are shrunk to it, in pixels.
    """

    detector: Detector
    min_size: int
    max_size: int

    def __call__(self, image: Image) -> Descriptors:
        """Return the descriptors, none of them all zero; an image without features has none."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        descriptors = self.detector(self._resized(grey))
        return descriptors[descriptors.any(axis=1)]

    def _resized(self, grey: Grey) -> Grey:
        longer = max(grey.shape)
        target = min(max(longer, self.min_size), self.max_size)
        if target == longer:
            return grey
        height, width = (max(1, round(side * target / longer)) for side in grey.shape)
        filter_ = cv2.INTER_AREA if target < longer else cv2.INTER_CUBIC
        resized: Grey = cv2.resize(grey, (width, height), interpolation=filter_)
        return resized


@dataclass(frozen=True, kw_only=True, slots=True)
class Keypoints:
    """Extrema of the difference of Gaussians, each described in its own scale and direction.

    Attributes:
        max_features: the strongest are kept.
    """

    max_features: int

    def __call__(self, grey: Grey) -> Descriptors:
        """See ``Detector``."""
        points, descriptors = _sift(self.max_features).detectAndCompute(grey, None)
        if descriptors is None:
            return np.empty((0, LENGTH), np.uint8)
        # OpenCV keeps all those that are as strong as the weakest.
        order = sorted(range(len(points)), key=lambda i: _strongest_first(points[i]))
        return _as_bytes(descriptors)[order[: self.max_features]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Upright patches on a regular grid: they find something in every image that is not uniform.

    Bosch, Zisserman and Munoz, "Image classification using random forests and ferns", ICCV 2007. A patch is
    described on the image as blurred as it is for keypoints of that size. Patches that show next to no
    gradient are left out.

    Attributes:
        step: pixels between neighbouring patches; more where there would be too many of them.
        patches: sides of the square patches in pixels.
        max_features: at most so many patches, but one of each size.
    """

    step: int
    patches: tuple[float, ...]
    max_features: int

    def __call__(self, grey: Grey) -> Descriptors:
        """See ``Detector``."""
        gradient = _gradient(grey)
        places = self._places(*grey.shape)
        points = [
            _point(x, y, side)
            for side in self.patches
            for y, x in places[_shows_something(gradient, places, side)].tolist()
        ]
        if not points:
            return np.empty((0, LENGTH), np.uint8)
        return _as_bytes(_sift().compute(grey, points)[1])

    def _places(self, height: int, width: int) -> NDArray[np.float64]:
        """Return ``(n, 2)`` centres, y and x, of the finest centred grid that is allowed."""
        room = max(1, self.max_features // len(self.patches))
        step = self.step
        while _count(height, step) * _count(width, step) > room:
            step += 1
        ys, xs = (_centred(side, step) for side in (height, width))
        return np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)


def check_opencv() -> None:
    """Refuse an OpenCV without SIFT.

    Raises:
        SettingError: if it is older than the patent's end.
    """
    if not hasattr(cv2, "SIFT_create"):
        raise SettingError(
            f"OpenCV {cv2.__version__} has no SIFT. Run: pip install 'cbir-bench[sift]'"
        )


def _sift(max_features: int = 0) -> Any:
    """Return an extractor of OpenCV, which is no more than its settings: two threads must not share one.

    OpenCV's own threads are switched off, for the whole process: readers are as many as there are cores.
    """
    if cv2.getNumThreads() > 1:
        cv2.setNumThreads(1)
    return cv2.SIFT_create(  # type: ignore[attr-defined,unused-ignore]
        nfeatures=max_features, sigma=_FIRST_BLUR
    )


def _as_bytes(descriptors: NDArray[np.float32]) -> Descriptors:
    return descriptors.astype(np.uint8)  # whole numbers up to 255 already


def _strongest_first(point: Any) -> tuple[float, ...]:
    return (-point.response, *point.pt, point.size, point.angle)


def _point(x: float, y: float, side: float) -> Any:
    """Return an upright keypoint for a patch, on the pyramid's level of keypoints of that size."""
    diameter = side / _PATCH
    doublings = math.log2(diameter / (2 * _FIRST_BLUR))
    level = max(0, round(doublings * _LEVELS_PER_OCTAVE))
    octave, layer = divmod(level, _LEVELS_PER_OCTAVE)
    return cv2.KeyPoint(x, y, diameter, 0, 0, octave | layer << 8)


def _count(side: int, step: int) -> int:
    return max(1, side // step)


def _centred(side: int, step: int) -> NDArray[np.float64]:
    """Return places of whole pixels, which is what OpenCV rounds them to."""
    n = _count(side, step)
    return np.arange(n, dtype=np.float64) * step + (side - 1 - (n - 1) * step) // 2


def _gradient(grey: Grey) -> NDArray[np.float32]:
    """Return the length of the gradient in grey levels per pixel."""
    steps = (cv2.Sobel(grey, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    length: NDArray[np.float32] = cv2.magnitude(*steps)
    return length


def _shows_something(
    gradient: NDArray[np.float32], places: Iterable[Any], side: float
) -> NDArray[np.bool_]:
    mean = cv2.boxFilter(gradient, -1, (round(side), round(side)), borderType=cv2.BORDER_REPLICATE)
    rows, columns = np.asarray(places).astype(np.intp).T
    seen: NDArray[np.bool_] = mean[rows, columns] >= _FAINTEST
    return seen
