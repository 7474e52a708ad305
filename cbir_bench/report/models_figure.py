"""Which model: every model's quality under exact search with its interval, best first, as a dot plot.

Cleveland and McGill, Graphical perception, 1984: positions along one scale are read best.
"""

from __future__ import annotations

from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.report import numbers
from cbir_bench.report.choice import PLAIN
from cbir_bench.report.style import shortened, text_width
from cbir_bench.report.tables import exact_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cbir_bench.report.choice import Section

FEWEST: Final = 3
"""Fewer models are compared faster in the table."""
MOST: Final = 60
"""Models of a figure; the best are drawn."""
_TRAINED, _GIVEN = "#0072B2", "#A84A00"
_BAND: Final = "#ECECEC"
_NAME: Final = 56
"""Characters of a line of a model's name, which has two at most."""
_WIDTH, _LINE, _GAP, _HEAD, _FOOT, _SIDE = 10.0, 0.145, 0.1, 0.75, 0.95, 1.75
_NARROWEST: Final = 3.5
"""Inches; wide names make a figure wider, not its panel narrower than this."""
_TALL: Final = 20
"""From more models on the scale stands above, too."""
_SIZE: Final = 8.5
"""Points, of names and values."""
_DPI: Final = 110


def comparable_models(section: Section) -> pd.DataFrame:
    """Return a row per model, transform and other axis under exact search, best first.

    Empty if there is no main metric, or fewer than ``FEWEST`` models, counting each transform of a
    model as one of its own.
    """
    points = exact_points(section)
    if not section.metric:
        return points.iloc[:0]
    points = points[points[section.metric].notna()]
    points = points.drop_duplicates(["model", *section.axes])  # points come best first
    n_models = len(points[["model", "transform"]].drop_duplicates())
    return points if n_models >= FEWEST else points.iloc[:0]


def make_models_figure(section: Section) -> Any:
    """Return the Matplotlib figure; see ``comparable_models`` for what is in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = comparable_models(section)
    drawn = points[:MOST]
    names = [_name(row, section.axes) for _, row in drawn.iterrows()]
    lines = np.array([1 + name.count("\n") for name in names])
    heights = lines * _LINE + _GAP
    places = np.cumsum(heights) - heights / 2
    height = _HEAD + float(heights.sum()) + _FOOT
    left = 0.25 + max(text_width(line, _SIZE) for name in names for line in name.split("\n"))
    width = max(_WIDTH, left + _NARROWEST + _SIDE)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (
            left / width,
            _FOOT / height,
            1 - (left + _SIDE) / width,
            1 - (_HEAD + _FOOT) / height,
        )
    )
    axes.set_ylim(float(heights.sum()), 0)
    axes.set_yticks(places, names, fontsize=_SIZE)
    _draw(axes, section, drawn, places)
    _explain(figure, section, drawn, len(points) - len(drawn))
    return figure


def _draw(axes: Any, section: Section, points: pd.DataFrame, places: Any) -> None:
    """Draw the best one's interval as a band, then each model's interval, dot and value."""
    metric = section.metric
    values = points[metric].to_numpy(float)
    low, high = (points[f"{metric}.{end}"].to_numpy(float) for end in ("low", "high"))
    trained = points["training_cpu_seconds"].notna().to_numpy()
    _scale(axes, np.concatenate([values, low, high]))
    if np.isfinite(low[0]) and np.isfinite(high[0]):
        axes.axvspan(low[0], high[0], color=_BAND, lw=0, zorder=0.5)
    for filled, colour in ((True, _TRAINED), (False, _GIVEN)):
        rows = trained == filled
        axes.hlines(places[rows], low[rows], high[rows], color=colour, lw=1.3, zorder=2)
        axes.plot(
            values[rows], places[rows], ls="", marker="o", ms=5.5, mec=colour, mew=1.2,
            mfc=colour if filled else "white", zorder=3, clip_on=False,
        )  # fmt: skip
    kinds = _kinds(trained)
    for value, place, is_trained, kind in zip(values, places, trained, kinds, strict=True):
        axes.text(
            1.02, place, f"{numbers.fraction(value)}  {kind}".strip(), fontsize=_SIZE, va="center",
            color=_TRAINED if is_trained else _GIVEN, transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.set_xlabel(f"{metric}  → better")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labeltop=len(points) > _TALL)
    axes.spines["left"].set_visible(False)


def _scale(axes: Any, values: Any) -> None:
    known = values[np.isfinite(values)]
    margin = 0.03 * max(float(np.ptp(known)), 0.01)
    axes.set_xlim(max(0.0, known.min() - margin), known.max() + margin)


def _kinds(trained: Any) -> list[str]:
    """Return what stands beside each value: the first of either kind says which it is, if any is."""
    if not trained.any():
        return [""] * len(trained)
    words = ["trained here" if is_trained else "not trained here" for is_trained in trained]
    first = {word: words.index(word) for word in words}
    return [word if first[word] == i else "" for i, word in enumerate(words)]


def _name(row: pd.Series[Any], axes: Sequence[str]) -> str:
    """Return a model's name with its transform and all else that tells it apart, on one or two lines."""
    parts = [str(row["model"])]
    if "transform" in axes and row["transform_use"] != PLAIN:
        parts.append(f"+ {row['transform']}")
    parts += [f"{axis}={row[axis]}" for axis in axes if axis != "transform"]
    name = " ".join(" ".join(parts).split())
    lines = wrap(name, _NAME)
    if len(lines) > 2:
        short = shortened(name, 2 * _NAME)
        lines = [short[:_NAME], short[_NAME:]]
    return "\n".join(lines)


def _explain(figure: Any, section: Section, points: pd.DataFrame, n_hidden: int) -> None:
    height = figure.get_figheight()
    title = f"{shortened(section.title, 70)}: models under exact search"
    figure.text(0.012, 1 - 0.3 / height, title, fontsize=12, fontweight="bold", va="center")
    note = "Line: 95 % interval of the mean over queries. Grey: that of the best."
    if points["training_cpu_seconds"].notna().any():
        note = f"Filled: trained in this run; hollow: not. {note}"
    if n_hidden:
        note += f" In the table only, since their quality is lower: {n_hidden} more."
    figure.text(0.012, 0.12 / height, fill(note, 165), fontsize=8, color="#444444", va="bottom")
