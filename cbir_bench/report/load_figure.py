"""Several clients at once: throughput against their number, and p99 against throughput."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.report.labels import Curve, label_curves
from cbir_bench.report.load import points_under_load
from cbir_bench.report.panels import log_ticks
from cbir_bench.report.style import marks_of, shortened
from cbir_bench.report.verdict import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from cbir_bench.report.choice import Section
    from cbir_bench.report.style import Mark

TITLE: Final = "several clients at once"
_NOTE: Final = (
    "Solid and filled: clients are threads of one process; dashed and hollow: processes forked from the "
    "one that holds the index. Small numbers: the most clients of a line. Dotted: throughput in proportion "
    "to clients."
)
_WIDTH, _PANEL, _HEAD, _FOOT, _GAP, _LINE = 10.0, 2.5, 0.62, 0.42, 1.02, 0.17
"""Inches; the gap holds the name of a model, and the ticks and label of an axis."""
_LEFT: Final = 0.09
"""Of the figure's width."""
_DPI: Final = 110
_KINDS: Final[Mapping[str, tuple[Any, bool]]] = {
    "threads": ("-", True),
    "processes": ((0, (4, 2)), False),
}
"""Line and whether markers are filled, by what clients are."""


def make_load_figure(section: Section) -> Any:
    """Return the Matplotlib figure with a row per model, or None if no clients were measured.

    ``points_under_load`` says which points are in it.
    """
    shown = list(points_under_load(section, "loads"))
    if not shown:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [_PANEL + _GAP + _LINE * len(points) for _, points in shown]
    height = _HEAD + sum(heights) + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    marks = marks_of(section.competing["index_use"])
    top = height - _HEAD
    for (model, points), tall in zip(shown, heights, strict=True):
        _draw_row(figure, section, model, points, marks=marks, top=top)
        top -= tall
    title = f"{shortened(section.title, 70)}: {TITLE}"
    figure.text(0.012, 1 - 0.3 / height, title, fontsize=12, fontweight="bold", va="center")
    figure.text(0.012, 0.12 / height, fill(_NOTE, 165), fontsize=8, color="#444444", va="bottom")
    return figure


def _draw_row(
    figure: Any,
    section: Section,
    model: str,
    points: pd.DataFrame,
    *,
    marks: Mapping[str, Mark],
    top: float,
) -> None:
    """Draw the two panels of a model, its name above and what its letters mean below them."""
    height = figure.get_figheight()
    name = shortened(model, 100)
    figure.text(_LEFT, (top - 0.16) / height, name, fontsize=10, fontweight="bold")
    bottom = top - 0.26 - _PANEL
    left, right = (
        figure.add_axes((x, bottom / height, 0.4, _PANEL / height)) for x in (_LEFT, 0.585)
    )
    rows = points.to_dict("records")
    _draw_panel(left, rows, marks, ("clients", "qps"))
    _draw_panel(right, rows, marks, ("qps", "p99_us"))
    for place, row in enumerate(rows):
        text = f"{row['letter']}  {shortened(settings_of(row, section), 130)}"
        y = (bottom - 0.62 - _LINE * place) / height
        colour = marks[row["index_use"]].text
        figure.text(_LEFT, y, text, fontsize=8, color=colour, va="center")


def _draw_panel(
    axes: Any, rows: Sequence[Any], marks: Mapping[str, Mark], columns: tuple[str, str]
) -> None:
    """Draw a line per point and kind of clients, named by its letter."""
    lines = {
        (row["letter"], kind): _line(row, kind, columns)
        for row in rows
        for kind in _KINDS
        if any(load.kind == kind for load in row["loads"])
    }
    _scale(axes, np.concatenate(list(lines.values())), columns)
    if columns[0] == "clients":
        _draw_proportional(axes, lines.values())
    curves = []
    for row in rows:
        mark, own = marks[row["index_use"]], []
        for kind, (dashes, filled) in _KINDS.items():
            if (row["letter"], kind) in lines:
                own.append(lines[row["letter"], kind])
                _draw_line(axes, own[-1], mark, dashes, filled=filled)
                if columns[0] != "clients":
                    _count_clients(axes, own[-1][-1], max(one.clients for one in row["loads"]))
        drawn = [_fractions(axes, line) for line in own]
        curves.append(Curve(row["letter"], np.concatenate(drawn), drawn, mark.text))
    label_curves(axes, curves)


def _line(row: Any, kind: str, columns: tuple[str, str]) -> Any:
    loads = sorted((one for one in row["loads"] if one.kind == kind), key=lambda one: one.clients)
    return np.array([[getattr(one, name) for name in columns] for one in loads], float)


def _draw_line(axes: Any, line: Any, mark: Mark, dashes: Any, *, filled: bool) -> None:
    size = 8 if mark.marker == "*" else 4.5
    axes.plot(
        *line.T, color=mark.colour, ls=dashes, marker=mark.marker, ms=size, mec=mark.colour, mew=1.0,
        mfc=mark.colour if filled else "white", zorder=3,
    )  # fmt: skip


def _count_clients(axes: Any, end: Any, n_clients: int) -> None:
    """Write the number of clients beside the end of a line, since more may get less than fewer."""
    axes.annotate(
        f"{n_clients:,}", end, (4, -7), textcoords="offset points", fontsize=6.5, color="#444444"
    )


def _draw_proportional(axes: Any, lines: Any) -> None:
    """Draw what the best line would be if twice the clients got twice as much."""
    best = max((line[0] for line in lines), key=lambda first: first[1] / first[0])
    clients = np.array(axes.get_xlim())
    ideal = np.stack([clients, best[1] / best[0] * clients], axis=1)
    axes.plot(*ideal.T, color="#7F7F7F", lw=0.8, ls=(0, (1, 2)), zorder=1, scaley=False)


def _scale(axes: Any, places: Any, columns: tuple[str, str]) -> None:
    """Set logarithmic scales with room for letters; the numbers of clients are the ticks of theirs."""
    labels = {
        "clients": "clients",
        "qps": "queries/s of all clients",
        "p99_us": "p99 of a query, µs",
    }
    for axis, column, values in zip("xy", columns, places.T, strict=True):
        logs = np.log10(values)
        room = 0.1 * max(float(np.ptp(logs)), 0.3)
        limits = 10 ** (logs.min() - room), 10 ** (logs.max() + room)
        axes.set(**{f"{axis}scale": "log", f"{axis}lim": limits})
        ticks = np.unique(values) if column == "clients" else log_ticks(*limits)
        _set_ticks(axes.xaxis if axis == "x" else axes.yaxis, ticks)
    better = {"qps": "  → better", "clients": ""}[columns[0]]
    axes.set_xlabel(labels[columns[0]] + better)
    axes.set_ylabel(labels[columns[1]] + ("  → better" if columns[1] == "qps" else "  ← better"))


def _set_ticks(axis: Any, ticks: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _fractions(axes: Any, line: Any) -> Any:
    """Return places as fractions of the panel's width and height."""
    return axes.transAxes.inverted().transform(axes.transData.transform(line))
