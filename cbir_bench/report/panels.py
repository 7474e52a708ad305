"""One panel: quality against a cost or a speed, every library with its own mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from cbir_bench.report.choice import PLAIN
from cbir_bench.report.labels import Curve, label_curves
from cbir_bench.report.pareto import frontier

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from cbir_bench.report.style import Mark

WORTH_DRAWING: Final = 0.8
"""Points below this share of a panel's best quality are in the tables only."""
_MIB: Final = 2.0**20
_ONE_CURVE: Final = ["index_use", "build_key", "reranker", "reranker_use", "k"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """What a panel shows.

    Attributes:
        points: rows of the table of records.
        x: column of the horizontal axis, drawn on a logarithmic scale.
        y: a metric.
        x_label: name and unit of the horizontal axis.
        x_better: which direction of ``x`` is better.
        level: a quality to draw as a horizontal line: that of exact search.
        share: of the best quality, below which points are not drawn.
    """

    points: pd.DataFrame
    x: str
    y: str
    x_label: str
    x_better: Literal["higher", "lower"] = "higher"
    level: float | None = None
    share: float = WORTH_DRAWING

    @property
    def lowest(self) -> float:
        """The quality below which points are left out, so that those worth choosing come apart."""
        return self.share * float(self.points[self.y].max())


def draw_panel(axes: Any, panel: Panel, marks: Mapping[str, Mark]) -> None:
    """Draw points, curves, the frontier and the libraries' names."""
    unit = _MIB if panel.x.endswith("_bytes") else 1.0
    points = panel.points[_ONE_CURVE].assign(
        _x=panel.points[panel.x] / unit, _y=panel.points[panel.y]
    )
    drawable = points[(points["_x"] > 0) & (points["_y"] >= panel.lowest)]
    axes.set_xlabel(f"{panel.x_label}  {'→' if panel.x_better == 'higher' else '←'} better")
    axes.set_ylabel(panel.y)
    if not len(drawable):
        _say_nothing(axes)
        return
    _scale(axes, drawable, panel.level)
    if panel.level is not None:
        axes.axhline(panel.level, color="#000000", lw=0.6, ls=(0, (1, 3)), zorder=1)
    steps = _draw_frontier(axes, drawable, panel.x_better)
    curves = [
        _draw_library(axes, str(name), rows, marks[str(name)], panel.x_better)
        for name, rows in drawable.groupby("index_use", sort=True)
    ]
    label_curves(axes, curves, steps)
    _count_hidden(axes, points, panel)


def _count_hidden(axes: Any, points: pd.DataFrame, panel: Panel) -> None:
    n_low = int((points["_y"] < panel.lowest).sum())
    n_unmeasured = (
        len(points) - n_low - int(((points["_x"] > 0) & (points["_y"] >= panel.lowest)).sum())
    )
    texts = [
        f"{n} {text}"
        for n, text in ((n_low, f"below {panel.lowest:.3g}"), (n_unmeasured, "without a value"))
        if n
    ]
    if texts:
        axes.set_title(f"not shown: {', '.join(texts)}", fontsize=7, loc="right", color="#444444")


def _say_nothing(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color="#444444")


def _scale(axes: Any, points: pd.DataFrame, level: float | None) -> None:
    """Set limits with room for names; a single value gets a range around it."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    x = np.log10(points["_x"].to_numpy())
    y = np.append(points["_y"].to_numpy(), [] if level is None else [level])
    wide, tall = max(np.ptp(x), 0.5), max(np.ptp(y), 0.01)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (x.min() - 0.12 * wide), 10 ** (x.max() + 0.12 * wide))
    axes.set_ylim(y.min() - 0.12 * tall, y.max() + 0.16 * tall)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_xlim()).tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(*axes.get_ylim())
    bottom, top = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator(ticks[(ticks > bottom) & (ticks <= min(top, 1.0))]))


def log_ticks(low: float, high: float) -> NDArray[np.float64]:
    """Return two to seven round numbers of a logarithmic axis, powers of ten where they suffice."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = np.outer(decades, steps).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) > 2:
            break
    return np.asarray(ticks[:: -(-len(ticks) // 7)] if len(ticks) else ticks)


def _draw_frontier(axes: Any, points: pd.DataFrame, better: str) -> list[NDArray[np.float64]]:
    """Draw the frontier as steps and return them as polylines in axes fractions."""
    sign = 1.0 if better == "higher" else -1.0
    optimal = points[frontier(points["_y"], sign * points["_x"])].sort_values("_x")
    if len(optimal) < 2:
        return []
    x, y = np.repeat(optimal["_x"].to_numpy(), 2), np.repeat(optimal["_y"].to_numpy(), 2)
    x, y = (x[:-1], y[1:]) if better == "higher" else (x[1:], y[:-1])
    axes.plot(x, y, color="#BDBDBD", lw=3.5, zorder=1.5, solid_joinstyle="miter")
    return [_fractions(axes, x, y)]


def _draw_library(axes: Any, name: str, points: pd.DataFrame, mark: Mark, better: str) -> Curve:
    lines = []
    sign = 1.0 if better == "higher" else -1.0
    for _, rows in points.groupby(_ONE_CURVE, sort=False):
        chosen = rows[frontier(rows["_y"], sign * rows["_x"])].sort_values("_x")
        if len(chosen) > 1:
            axes.plot(chosen["_x"], chosen["_y"], color=mark.colour, ls=mark.dashes, zorder=2)
            lines.append(_fractions(axes, chosen["_x"], chosen["_y"]))
    for plain, fill in ((True, mark.colour), (False, "white")):
        rows = points[(points["reranker_use"] == PLAIN) == plain]
        size = 9 if mark.marker == "*" else 5
        axes.plot(
            rows["_x"], rows["_y"], ls="", marker=mark.marker, ms=size, mec=mark.colour, mew=1.0,
            mfc=fill, zorder=3,
        )  # fmt: skip
    return Curve(name, _fractions(axes, points["_x"], points["_y"]), lines, mark.text)


def _fractions(axes: Any, x: Any, y: Any) -> NDArray[np.float64]:
    """Return points as fractions of the panel's width and height."""
    (left, right), (bottom, top) = np.log10(axes.get_xlim()), axes.get_ylim()
    across = (np.log10(np.asarray(x, float)) - left) / (right - left)
    return np.stack([across, (np.asarray(y, float) - bottom) / (top - bottom)], axis=1)
