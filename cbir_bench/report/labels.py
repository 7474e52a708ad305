"""Names beside curves instead of a legend, placed where they hide the least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.report.style import text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_DISTANCES: Final = (9.0, 20.0, 34.0, 52.0)
"""How far from its point the middle of a label's edge may be, in pixels at 100 dpi."""
_DIRECTIONS: Final = np.array(
    [(1, 0), (0, 1), (-1, 0), (0, -1), (0.8, 0.6), (-0.8, 0.6), (0.8, -0.6), (-0.8, -0.6)]
)
_STEP: Final = 5.0
"""Distance of the samples that stand for a line."""
_LEADER: Final = 15.0
"""From this distance on a thin line joins a label with its point."""
_CROWD: Final = 18.0
"""A label beside a point with other curves' points this near could be read as theirs."""


class Curve(NamedTuple):
    """A named set of points in axes fractions.

    Attributes:
        name: the label.
        points: ``(n, 2)`` where markers are.
        lines: polylines, ``(m, 2)`` each.
        colour: of the label.
    """

    name: str
    points: NDArray[np.float64]
    lines: Sequence[NDArray[np.float64]]
    colour: str


class _Anchors(NamedTuple):
    """Points that a label may stand beside, in pixels, and how many others are near each."""

    points: NDArray[np.float64]
    crowding: NDArray[np.float64]


class Place(NamedTuple):
    """Where a label goes, in pixels: its centre, and the point it names."""

    centre: NDArray[np.float64]
    anchor: NDArray[np.float64]
    distance: float


class _Ink(NamedTuple):
    """What a label should not cover: places in pixels, and how bad each is."""

    where: NDArray[np.float64]
    weights: NDArray[np.float64]


def label_curves(
    axes: Any, curves: Sequence[Curve], others: Sequence[NDArray[np.float64]] = ()
) -> None:
    """Write the name of each curve beside one of its points.

    Args:
        axes: Matplotlib axes with their final limits.
        curves: what is drawn and named.
        others: polylines that are drawn but not named, ``(m, 2)`` in axes fractions.
    """
    frame = axes.get_window_extent()
    panel = np.array([frame.width, frame.height]) * 100 / axes.figure.dpi
    ink = _ink(curves, others, panel)
    boxes: list[NDArray[np.float64]] = []
    for curve in sorted(curves, key=lambda one: len(one.points)):
        points = curve.points * panel
        others = [one.points * panel for one in curves if one is not curve]
        anchors = _Anchors(points, _crowding(points, others))
        size = _text_size(curve.name)
        place = _best_place(anchors, size, ink, boxes=boxes, panel=panel)
        boxes.append(np.stack([place.centre - size / 2, place.centre + size / 2]))
        _write(axes, curve, place, panel)


def _text_size(text: str) -> NDArray[np.float64]:
    """Return width and height of bold text of 8 points, in pixels at 100 dpi."""
    return np.array([text_width(text, 8.0, "bold"), 8.0 / 72]) * 100 + (4, 1)


def _ink(
    curves: Sequence[Curve], others: Sequence[NDArray[np.float64]], panel: NDArray[np.float64]
) -> _Ink:
    """Return markers, heavily, and samples along lines."""
    markers = np.concatenate([curve.points * panel for curve in curves])
    lines = [line for curve in curves for line in curve.lines]
    samples = [_along(line * panel) for line in (*lines, *others)]
    where = np.concatenate([markers, *samples])
    weights = np.full(len(where), 1.0)
    weights[: len(markers)] = 4.0
    return _Ink(where, weights)


def _along(line: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0, lengths[-1], _STEP)
    return np.stack([np.interp(at, lengths, line[:, i]) for i in (0, 1)], axis=1)


def _crowding(
    points: NDArray[np.float64], others: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return for each point how many points of other curves are near."""
    if not others:
        return np.zeros(len(points))
    apart = points[:, None] - np.concatenate(others)
    return np.asarray((np.hypot(*np.moveaxis(apart, 2, 0)) < _CROWD).sum(axis=1), float)


def _best_place(
    anchors: _Anchors,
    size: NDArray[np.float64],
    ink: _Ink,
    *,
    boxes: Sequence[NDArray[np.float64]],
    panel: NDArray[np.float64],
) -> Place:
    """Return the candidate that hides least and names its point most clearly; near ones win ties."""
    points, crowding = anchors
    distances = np.repeat(_DISTANCES, len(_DIRECTIONS))
    directions = np.tile(_DIRECTIONS, (len(_DISTANCES), 1))
    offsets = directions * (distances[:, None] + np.abs(directions) * size / 2)
    centres = (points[:, None] + offsets).reshape(-1, 2)
    costs = np.tile(distances / 8, len(points)) + 5 * np.repeat(crowding, len(distances))
    low, high = centres - size / 2, centres + size / 2
    costs += 1000.0 * ((low < 0) | (high > panel)).any(axis=1)
    covered = (ink.where >= low[:, None] - 2) & (ink.where <= high[:, None] + 2)
    costs += 3 * covered.all(axis=2) @ ink.weights
    for box in boxes:
        costs += 300.0 * ((low < box[1] + 2) & (high > box[0] - 2)).all(axis=1)
    best = int(np.argmin(costs))
    n = len(distances)
    return Place(centres[best], points[best // n], float(distances[best % n]))


def _write(axes: Any, curve: Curve, place: Place, panel: NDArray[np.float64]) -> None:
    from matplotlib.patheffects import withStroke

    if place.distance >= _LEADER:
        ends = np.stack([place.anchor, place.centre]) / panel
        axes.plot(*ends.T, color=curve.colour, lw=0.5, transform=axes.transAxes, zorder=4)
    axes.text(
        *(place.centre / panel),
        curve.name,
        transform=axes.transAxes,
        color=curve.colour,
        fontsize=8,
        fontweight="bold",
        ha="center",
        va="center",
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )
