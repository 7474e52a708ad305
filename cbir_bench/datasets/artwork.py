"""The flat artwork of a procedural product: a shape with a texture and decals, seen from the front.

A family shares its shape, texture and layout; its variants differ in colours, in details of the
texture and in the decals, as flavours of one product do. Everything is computed in float64 and rounded
once, so that the last bit of a sine, which differs between machines, does not show.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from cbir_bench.datasets.draws import Draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Plane = NDArray[np.float64]

F = TypeVar("F", np.float32, np.float64)

N_PALETTES: Final = 32
_PALETTE, _FAMILY, _VARIANT, _TEXTURE = range(4)
"""First part of the key of each stream of draws, after the seed."""


class Grid(NamedTuple):
    """Coordinates of a square canvas, ``(side, side)`` each; -1 and 1 are its edges."""

    u: Plane
    v: Plane
    radius: Plane
    angle: Plane


class Decal(NamedTuple):
    """A small mark: where it is, how large, which figure and colour."""

    u: float
    v: float
    size: float
    figure: int
    colour: Plane


@lru_cache(maxsize=8)
def grid(side: int) -> Grid:
    """Return the coordinates of the pixel centres of a canvas."""
    line = (2.0 * np.arange(side) + 1.0) / side - 1.0
    v, u = np.meshgrid(line, line, indexing="ij")
    return Grid(u, v, np.sqrt(u * u + v * v), np.arctan2(v, u))


@lru_cache(maxsize=8)
def palettes(seed: int) -> Plane:
    """Return ``(N_PALETTES, 3, 3)`` colours, RGB in [0, 255], three to a palette."""
    draws = Draws(seed, _PALETTE)
    found = []
    for _ in range(N_PALETTES):
        hue = draws.unit()
        second = hue + (0.08, 0.33, 0.5)[draws.below(3)]
        for h in (hue, second, draws.unit()):
            saturation, value = draws.between(0.25, 1.0), draws.between(0.25, 1.0)
            found.append(colorsys.hsv_to_rgb(h % 1.0, saturation, value))
    return np.array(found).reshape(N_PALETTES, 3, 3) * 255.0


def artwork(seed: int, family: int, variant: int, side: int) -> NDArray[np.uint8]:
    """Return the ``(side, side, 4)`` artwork: RGB multiplied by its opacity, and the opacity."""
    shared, own = Draws(seed, _FAMILY, family), Draws(seed, _VARIANT, family, variant)
    opacity = np.clip(
        SHAPES[shared.below(len(SHAPES))](grid(side), shared) * side * 0.35 + 0.5, 0, 1
    )
    texture = shared.below(len(TEXTURES))
    colours, accents = _palette(seed, own), _palette(seed, own)
    # Half of the variants have a texture of their own, of the family's kind.
    details = Draws(seed, _TEXTURE, family, 1 + variant if own.chance(0.5) else 0)
    weight = TEXTURES[texture](grid(side), details)[..., None]
    canvas = colours[0] + (colours[1] - colours[0]) * weight
    for _ in range(2 + shared.below(4)):
        colour = colours[2] if own.chance(0.5) else accents[own.below(3)]
        _stamp(canvas, _decal(shared, own, colour), own)
    layers = np.concatenate([canvas * opacity[..., None], opacity[..., None] * 255.0], axis=2)
    pixels: NDArray[np.uint8] = np.rint(layers).astype(np.uint8)
    return pixels


def enlarge(values: NDArray[F], side: int, *, smooth: bool) -> NDArray[F]:
    """Return ``(..., n, n)`` values interpolated to ``(..., side, side)``, bilinear or with soft steps."""
    n = values.shape[-1]
    places = np.arange(side) * ((n - 1) / (side - 1))
    low = np.minimum(places.astype(np.int64), n - 2)
    part = places - low
    if smooth:
        part = part * part * (3.0 - 2.0 * part)
    after = part.astype(values.dtype)
    before = 1 - after
    across = values[..., low] * before + values[..., low + 1] * after
    down: NDArray[F] = (
        across[..., low, :] * before[:, None] + across[..., low + 1, :] * after[:, None]
    )
    return down


def _palette(seed: int, draws: Draws) -> Plane:
    colours: Plane = palettes(seed)[draws.below(N_PALETTES)]
    turned = np.roll(colours, draws.below(3), axis=0)
    return turned if draws.chance(0.5) else turned[::-1]


def _step(wave: Plane, slope: float = 1.5) -> Plane:
    """Return a soft step from 0 to 1 where the wave crosses zero."""
    t = np.clip(wave * slope + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


# Shapes return how far inside a pixel is: positive inside, in halves of the canvas.


def _superellipse(at: Grid, draws: Draws) -> Plane:
    width, height, doublings = draws.between(0.55, 0.92), draws.between(0.55, 0.92), draws.below(4)
    u, v = np.abs(at.u / width), np.abs(at.v / height)
    for _ in range(doublings):
        u, v = u * u, v * v
    total = u + v
    for _ in range(doublings):
        total = np.sqrt(total)
    return (1.0 - total) * min(width, height)


def _star(at: Grid, draws: Draws) -> Plane:
    points, depth, turn = (
        3 + draws.below(6),
        draws.between(0.05, 0.35),
        draws.between(0.0, 2 * np.pi),
    )
    return 0.72 * (1.0 + depth * np.cos(points * at.angle + turn)) - at.radius


def _blob(at: Grid, draws: Draws) -> Plane:
    rim = np.full_like(at.angle, 0.68)
    for wave in range(1, 6):
        height, turn = draws.around(0.16) / wave**0.5, draws.between(0.0, 2 * np.pi)
        rim += height * np.cos(wave * at.angle + turn)
    return np.clip(rim, 0.3, 0.95) - at.radius


def _bottle(at: Grid, draws: Draws) -> Plane:
    top, waist, bottom = (draws.between(0.25, 0.85) for _ in range(3))
    upper, lower = top + (waist - top) * (at.v + 1.0), waist + (bottom - waist) * at.v
    half_width = np.where(at.v < 0, upper, lower)
    inside: Plane = np.minimum(half_width - np.abs(at.u), 0.93 - np.abs(at.v))
    return inside


SHAPES: Final[tuple[Callable[[Grid, Draws], Plane], ...]] = (_superellipse, _star, _blob, _bottle)


# Textures return how much of the second colour a pixel has, in [0, 1].


def _axes(at: Grid, draws: Draws) -> tuple[Plane, Plane]:
    turn = draws.between(0.0, np.pi)
    c, s = np.cos(turn), np.sin(turn)
    return c * at.u + s * at.v, c * at.v - s * at.u


def _stripes(at: Grid, draws: Draws) -> Plane:
    along, _ = _axes(at, draws)
    return _step(np.sin(draws.between(9.0, 28.0) * along + draws.between(0.0, 2 * np.pi)))


def _checks(at: Grid, draws: Draws) -> Plane:
    along, across = _axes(at, draws)
    often, start = draws.between(6.5, 20.0), draws.between(0.0, 2 * np.pi)
    return _step(np.sin(often * along + start) * np.sin(often * across + start))


def _rings(at: Grid, draws: Draws) -> Plane:
    return _step(np.sin(draws.between(9.0, 28.0) * at.radius + draws.between(0.0, 2 * np.pi)))


def _dots(at: Grid, draws: Draws) -> Plane:
    along, across = _axes(at, draws)
    often, start = draws.between(8.0, 23.0), draws.between(0.0, 2 * np.pi)
    return _step(np.cos(often * along + start) + np.cos(often * across) - 1.1)


def _clouds(at: Grid, draws: Draws) -> Plane:
    n = 4 + draws.below(6)
    return _step(enlarge(2.0 * draws.units(n, n) - 1.0, len(at.u), smooth=True), slope=2.5)


def _rays(at: Grid, draws: Draws) -> Plane:
    arms, twist, turn = 2 + draws.below(5), draws.between(0.0, 16.0), draws.between(0.0, 2 * np.pi)
    return _step(np.sin(arms * at.angle + twist * at.radius + turn))


def _fade(at: Grid, draws: Draws) -> Plane:
    along, _ = _axes(at, draws)
    return _step(along, slope=draws.between(0.4, 1.0))


TEXTURES: Final[tuple[Callable[[Grid, Draws], Plane], ...]] = (
    _stripes,
    _checks,
    _rings,
    _dots,
    _clouds,
    _rays,
    _fade,
)


def _decal(shared: Draws, own: Draws, colour: Plane) -> Decal:
    """Return a mark in the place that the family has for it, with the variant's figure and colour."""
    return Decal(
        u=shared.around(0.55) + own.around(0.08),
        v=shared.around(0.55) + own.around(0.08),
        size=shared.between(0.14, 0.34) * own.between(0.8, 1.25),
        figure=own.below(len(FIGURES)),
        colour=colour,
    )


def _stamp(canvas: Plane, decal: Decal, draws: Draws) -> None:
    """Draw a mark on the canvas, which this module made and nobody else has seen."""
    side = len(canvas)
    rows, columns = (_reach(centre, decal.size, side) for centre in (decal.v, decal.u))
    line = grid(side).u[0]
    x = ((line[columns] - decal.u) / decal.size)[None, :]
    y = ((line[rows] - decal.v) / decal.size)[:, None]
    turn = draws.between(0.0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    inside = FIGURES[decal.figure](c * x + s * y, c * y - s * x, draws)
    cover = np.clip(inside * (decal.size * side / 2) + 0.5, 0.0, 1.0)[..., None]
    patch = canvas[rows, columns]
    patch += (decal.colour - patch) * cover


def _reach(centre: float, size: float, side: int) -> slice:
    """Return the pixels that a mark can cover along one axis."""
    low, high = ((centre + sign * 1.3 * size + 1.0) * side / 2 for sign in (-1, 1))
    return slice(max(0, int(low)), min(side, int(high) + 2))


# Figures return how far inside a pixel is, in units of the mark's size.


def _disc(x: Plane, y: Plane, draws: Draws) -> Plane:
    return draws.between(0.7, 0.9) - np.sqrt(x * x + y * y)


def _ring(x: Plane, y: Plane, draws: Draws) -> Plane:
    return draws.between(0.12, 0.22) - np.abs(np.sqrt(x * x + y * y) - 0.75)


def _polygon(x: Plane, y: Plane, draws: Draws) -> Plane:
    corners = 3 + draws.below(4)
    angles = np.arange(corners) * (2 * np.pi / corners)
    sides = [np.cos(np.pi / corners) - (np.cos(a) * x + np.sin(a) * y) for a in angles]
    inside: Plane = np.minimum.reduce(sides)
    return inside


def _bar(x: Plane, y: Plane, draws: Draws) -> Plane:
    height = draws.between(0.3, 0.5)
    return (1.0 - np.sqrt((x / 1.2) ** 2 + (y / height) ** 2)) * height


def _glyph(x: Plane, y: Plane, draws: Draws) -> Plane:
    cells = np.zeros((6, 6))
    cells[1:5, 1:5] = draws.units(4, 4) < 0.5
    column, row = (np.clip((t + 0.85) * (4 / 1.7) + 1.0, 0, 5).astype(np.int64) for t in (x, y))
    return cells[row, column] - 0.5


FIGURES: Final[tuple[Callable[[Plane, Plane, Draws], Plane], ...]] = (
    _disc,
    _ring,
    _polygon,
    _bar,
    _glyph,
)
