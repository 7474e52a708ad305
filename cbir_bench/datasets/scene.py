"""A photograph of a procedural product: one view of its artwork among other things.

The artwork is seen in perspective, turned, scaled and shaded, on a background, between and behind other
products, under a lamp of some colour, slightly out of focus and with sensor noise. Pixels are fetched
with fixed-point weights and summed in float32 by element-wise operations, which are exact everywhere.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from cbir_bench.datasets.artwork import N_PALETTES, artwork, enlarge, palettes
from cbir_bench.datasets.draws import Draws, bell_curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image

    Canvas = NDArray[np.float32]
    """``(channels, height, width)``: whole planes are what NumPy is fast at."""
    Places = NDArray[np.float64]

Level: TypeAlias = Literal["easy", "medium", "hard"]
Range: TypeAlias = tuple[float, float]

_VIEW, _NOISE, _THING = 16, 17, 1 << 40
"""Streams of draws after the seed (those below 16 are the artwork's), and the first family of clutter."""
_N_THINGS: Final = 128
_N_NOISE: Final = 1 << 18


class Difficulty(NamedTuple):
    """How far views of one product differ.

    Attributes:
        size: of the product, in shares of the image.
        turn: largest rotation in radians.
        tilt: largest perspective foreshortening.
        shift: largest distance from the centre, in shares of the image.
        clutter: fewest and most other things behind the product.
        occlusion: share of views with something in front of it.
        gain: of the lamp. cast: largest deviation of one channel's gain. shade: largest change across
            the product.
        noise: largest deviation of the sensor noise, in grey levels.
    """

    size: Range
    turn: float
    tilt: float
    shift: float
    clutter: tuple[int, int]
    occlusion: float
    gain: Range
    cast: float
    shade: float
    noise: float


LEVELS: Final[dict[Level, Difficulty]] = {
    "easy": Difficulty((0.65, 1.0), 0.35, 0.1, 0.10, (0, 1), 0.3, (0.75, 1.2), 0.12, 0.3, 6.0),
    "medium": Difficulty((0.5, 0.95), 0.7, 0.17, 0.16, (1, 3), 0.5, (0.55, 1.25), 0.22, 0.35, 10.0),
    "hard": Difficulty((0.4, 0.9), 1.2, 0.24, 0.22, (2, 5), 0.75, (0.4, 1.3), 0.32, 0.4, 16.0),
}
_AFAR: Final = LEVELS["hard"]._replace(size=(0.15, 0.45), turn=math.pi, shift=0.0)
"""How clutter lies about."""


class Pose(NamedTuple):
    """Where an artwork is seen: ``(x, y) / image = centre + matrix @ p / (1 + fall @ p)``, p in [-1, 1]^2."""

    centre: Range
    matrix: tuple[float, float, float, float]
    fall: Range


class Sprite(NamedTuple):
    """Something seen, cut out: where it is in the image, and how it is laid over it.

    Attributes:
        layers: ``(4, height, width)``: what it adds to red, green and blue, and the share of the image
            behind it that shows through.
        top, left: its upper left corner in pixels.
    """

    layers: Canvas
    top: int
    left: int


def photograph(
    seed: int, family: int, variant: int, view: int, *, size: int, level: Level
) -> Image:
    """Return the ``(size, size, 3)`` uint8 RGB image of one view: a pure function of the arguments."""
    how, draws = LEVELS[level], Draws(seed, _VIEW, family, variant, view)
    image = _background(seed, draws, size)
    for _ in range(how.clutter[0] + draws.below(how.clutter[1] - how.clutter[0] + 1)):
        _lay(image, _clutter(seed, draws, size))
    _lay(image, _seen(_packed(seed, family, variant, _canvas_side(size)), draws, how, size))
    if draws.chance(how.occlusion):
        _lay(image, _clutter(seed, draws, size))
    exposed = _expose(image, seed, draws, how)
    return np.ascontiguousarray(exposed.transpose(1, 2, 0))


def _canvas_side(size: int) -> int:
    return size + size // 2


@lru_cache(maxsize=64)
def _packed(seed: int, family: int, variant: int, side: int) -> NDArray[np.uint64]:
    """Return an artwork with a clear rim, ``(side + 2, side + 2)``, four 16-bit lanes to a pixel."""
    lanes = np.zeros((side + 2, side + 2, 4), "<u2")
    lanes[1:-1, 1:-1] = artwork(seed, family, variant, side)
    return lanes.view("<u8")[..., 0]


@lru_cache(maxsize=2 * _N_THINGS)
def _thing(seed: int, number: int, size: int) -> Canvas:
    """Return the layers of a product that is in no class; half as fine, as it is seen from afar.

    Cutting it out once is what makes clutter cheap.
    """
    packed = _packed(seed, _THING + number, 0, _canvas_side(size) // 2)
    return _seen(packed, Draws(seed, _VIEW, _THING + number), _AFAR, size).layers


def _clutter(seed: int, draws: Draws, size: int) -> Sprite:
    """Return some thing with its middle anywhere in the image."""
    layers = _thing(seed, draws.below(_N_THINGS), size)
    _, height, width = layers.shape
    top, left = (int(draws.unit() * size) - length // 2 for length in (height, width))
    return Sprite(layers, top, left)


def _background(seed: int, draws: Draws, size: int) -> Canvas:
    """Return soft or hard patches in the colours of two palettes."""
    n = 2 + draws.below(5)
    colours = palettes(seed)[[draws.below(N_PALETTES), draws.below(N_PALETTES)]].reshape(6, 3)
    picks = [draws.below(6) for _ in range(n * n)]
    patches = (colours[picks] * draws.between(0.5, 1.1)).T.reshape(3, n, n)
    if draws.chance(0.7):
        return enlarge(patches.astype(np.float32), size, smooth=False)
    cell = np.arange(size) * n // size
    return patches.astype(np.float32)[:, cell][:, :, cell]


def _pose(draws: Draws, how: Difficulty) -> Pose:
    turn, scale = draws.around(how.turn), draws.between(*how.size) / 2
    c, s = math.cos(turn) * scale, math.sin(turn) * scale
    narrow = (draws.between(0.8, 1.0), 1.0)
    wide, high = narrow if draws.chance(0.5) else narrow[::-1]
    centre = (0.5 + draws.around(how.shift), 0.5 + draws.around(how.shift))
    return Pose(
        centre,
        (c * wide, -s * high, s * wide, c * high),
        (draws.around(how.tilt), draws.around(how.tilt)),
    )


def _seen(packed: NDArray[np.uint64], draws: Draws, how: Difficulty, size: int) -> Sprite:
    """Return an artwork in some pose, shaded from one side to the other, cut at the image's border."""
    pose = _pose(draws, how)
    rows, columns = _window(pose, size)
    layers = _fetch(packed, *_source(pose, rows, columns, size))
    across, down = (np.float32(draws.around(how.shade) / 256) * _ramp(size) for _ in range(2))
    layers[:3] *= (across + np.float32(1 / 256))[columns] + down[rows, None]
    layers[3] *= np.float32(-1 / (255 * 256))
    layers[3] += 1
    return Sprite(layers, rows.start, columns.start)


def _lay(image: Canvas, sprite: Sprite) -> None:
    """Lay something over the image, which is this module's own; what lies outside is cut off."""
    layers, top, left = sprite
    _, height, width = layers.shape
    patch = image[:, max(0, top) : top + height, max(0, left) : left + width]
    seen = layers[:, max(0, -top) :, max(0, -left) :][:, : patch.shape[1], : patch.shape[2]]
    patch *= seen[3]
    patch += seen[:3]


@lru_cache(maxsize=8)
def _ramp(size: int) -> Canvas:
    return ((2 * np.arange(size) + 1) / size - 1).astype(np.float32)


def _window(pose: Pose, size: int) -> tuple[slice, slice]:
    """Return the rows and columns of the image that the artwork's four corners span."""
    a, b, c, d = pose.matrix
    xs, ys = [], []
    for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        depth = 1 + pose.fall[0] * u + pose.fall[1] * v
        xs.append((pose.centre[0] + (a * u + b * v) / depth) * size)
        ys.append((pose.centre[1] + (c * u + d * v) / depth) * size)
    rows, columns = (slice(max(0, int(min(t))), min(size, int(max(t)) + 1)) for t in (ys, xs))
    return rows, columns


def _source(pose: Pose, rows: slice, columns: slice, size: int) -> tuple[Places, Places]:
    """Return the artwork's coordinates, in [-1, 1] where it is hit, of each pixel of a window.

    The inverse of a pose: ``p = q / (1 - fall @ q)`` with ``q = inverse(matrix) @ (xy - centre)``.
    """
    determinant = pose.matrix[0] * pose.matrix[3] - pose.matrix[1] * pose.matrix[2]
    a, b, c, d = (value / determinant for value in pose.matrix)
    x = (np.arange(columns.start, columns.stop) + 0.5) / size - pose.centre[0]
    y = ((np.arange(rows.start, rows.stop) + 0.5) / size - pose.centre[1])[:, None]
    u, v = d * x - b * y, a * y - c * x
    fall_x = pose.fall[0] * d - pose.fall[1] * c
    fall_y = pose.fall[1] * a - pose.fall[0] * b
    stretch = 1 / np.maximum((1 - fall_x * x) - fall_y * y, 1e-3)
    u *= stretch
    v *= stretch
    return u, v


def _fetch(packed: NDArray[np.uint64], u: Places, v: Places) -> Canvas:
    """Return the bilinear mean of four neighbours, times 256, ``(4, height, width)``.

    All four channels are weighted at once: a value below 256 times two weights that sum to 16 each fits
    into a 16-bit lane.
    """
    side = len(packed) - 2
    column, x = _sixteenths(u, side)
    row, y = _sixteenths(v, side)
    corner = row * (side + 2) + column
    flat = packed.ravel()
    x_rest, y_rest = 16 - x, 16 - y
    upper = flat.take(corner) * x_rest + flat.take(corner + 1) * x
    corner += side + 2
    lower = flat.take(corner) * x_rest + flat.take(corner + 1) * x
    lanes = (upper * y_rest + lower * y).astype("<u8", copy=False).view("<u2").reshape(*u.shape, 4)
    return lanes.transpose(2, 0, 1).astype(np.float32, order="C")


def _sixteenths(t: Places, side: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the pixel before a coordinate, in the canvas with its rim, and the sixteenths past it."""
    places = t * (8 * side) + (8 * side + 8)
    np.minimum(np.maximum(places, 0, out=places), 16 * (side + 1) - 1, out=places)
    fixed = places.astype(np.int64)
    part: NDArray[np.uint64] = (fixed & 15).view(np.uint64)
    return fixed >> 4, part


@lru_cache(maxsize=4)
def _noise(seed: int, n: int) -> Canvas:
    """Return noise for ``n`` values from any of ``_N_NOISE`` places on; it repeats itself after those."""
    return np.resize(bell_curve(_N_NOISE, seed, _NOISE), n + _N_NOISE)


def _expose(image: Canvas, seed: int, draws: Draws, how: Difficulty) -> NDArray[np.uint8]:
    """Return the image under its lamp, out of focus in two of five cases, with noise, as bytes."""
    gain = draws.between(*how.gain)
    lamp = [gain * (1 + draws.around(how.cast)) for _ in range(3)]
    image *= np.array(lamp, np.float32)[:, None, None]
    image += np.float32(draws.between(-15, 25))
    if draws.chance(0.4):
        image = _blur(image, draws.between(0.03, 0.24))
    start = draws.below(_N_NOISE)
    grains = _noise(seed, image.size)[start : start + image.size].reshape(image.shape)
    image += grains * np.float32(draws.between(0, how.noise))
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _blur(image: Canvas, side_weight: float) -> Canvas:
    """Return the image blurred by a 3 x 3 kernel; the outermost pixels are blurred along the edge only."""
    beside, middle = np.float32(side_weight), np.float32(1 - 2 * side_weight)
    down = image * middle
    down[:, 1:-1] += (image[:, :-2] + image[:, 2:]) * beside
    down[:, [0, -1]] = image[:, [0, -1]]
    across = down * middle
    across[:, :, 1:-1] += (down[:, :, :-2] + down[:, :, 2:]) * beside
    across[:, :, [0, -1]] = down[:, :, [0, -1]]
    return across
