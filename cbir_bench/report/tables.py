"""The tables of a section: models under exact search, and operating points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cbir_bench.report import numbers, quantities
from cbir_bench.report.choice import EXACT, NEIGHBOURS, PLAIN
from cbir_bench.report.markdown import table

if TYPE_CHECKING:
    import pandas as pd

    from cbir_bench.report.choice import Section
    from cbir_bench.report.quantities import Quantity

ALWAYS: Final = ("p50_us", "p99_us", "qps", "build_seconds", "index_bytes")
"""Columns that stand in a table even where nothing has a value."""
OPTIMAL: Final = "●"
OPTIMAL_FOR_MODEL: Final = "○"


def exact_points(section: Section) -> pd.DataFrame:
    """Return the points that show the embeddings alone: exact search, no quantiser, no re-ranker."""
    points = section.points
    plain = (points["quantizer_use"] == PLAIN) & (points["reranker_use"] == PLAIN)
    return points[(points["index_use"] == EXACT) & plain]


def label_metrics(section: Section) -> list[str]:
    """Return the metrics that know labels, the main one first."""
    names = [name for name in section.metrics if not name.startswith(NEIGHBOURS)]
    return sorted(names, key=lambda name: name != section.metric)


def models_table(section: Section) -> str:
    """Return the models' quality under exact search as Markdown, the best of each metric in bold."""
    points = exact_points(section)
    axes = [quantities.AXES[name] for name in section.axes]
    metrics = [quantities.metric(n) for n in label_metrics(section) if points[n].notna().any()]
    columns = [quantities.MODEL, *axes, quantities.DIM]
    cells = [quantity.cells(points) for quantity in columns]
    cells += [_best_in_bold(quantity, points) for quantity in metrics]
    costs = [quantity for quantity in quantities.OF_MODEL if points[quantity.column].notna().any()]
    cells += [quantity.cells(points) for quantity in costs]
    columns += [*metrics, *costs]
    return table(
        [quantity.header for quantity in columns],
        list(zip(*cells, strict=True)),
        quantities.aligned_right(columns),
    )


def points_columns(section: Section, *, with_model: bool) -> list[Quantity]:
    """Return the columns of a table of operating points; costs that nobody has are left out."""
    points = section.points
    axes = [quantities.AXES[name] for name in section.axes]
    names = dict.fromkeys(name for name in (section.metric, section.recall) if name)
    quality = [quantities.metric(name, interval=name == section.metric) for name in names]
    costs = [
        q for q in quantities.COSTS if q.column in ALWAYS or (points[q.column] > q.negligible).any()
    ]
    return [
        *([quantities.MODEL] if with_model else []),
        *quantities.SETTINGS,
        *axes,
        *quality,
        *costs,
    ]


def points_table(
    section: Section, points: pd.DataFrame, *, with_model: bool, bounds: bool = False
) -> str:
    """Return operating points as Markdown, with marks for what is Pareto-optimal.

    Args:
        section: for its metrics, axes and the costs that any of its points has.
        points: the rows.
        with_model: whether there is a column for the model.
        bounds: whether the interval of p50 is written.
    """
    columns = [
        replace(column, bounds=bounds and column.column == "p50_us")
        for column in points_columns(section, with_model=with_model)
    ]
    marks = [
        OPTIMAL if of_all else OPTIMAL_FOR_MODEL if of_model else ""
        for of_all, of_model in zip(points["pareto"], points["pareto_model"], strict=True)
    ]
    rows = [
        (m, *cells) for m, cells in zip(marks, quantities.rows_of(points, columns), strict=True)
    ]
    right = [i + 1 for i in quantities.aligned_right(columns)]
    return table(["", *(quantity.header for quantity in columns)], rows, right)


def left_out(section: Section) -> str:
    """Say how many queries there are, and how many are in no mean since nothing is relevant to them."""
    points = section.points
    name = section.metric
    queries = " or ".join(numbers.count(n) for n in sorted(points["n_queries"].unique()))
    base = " or ".join(numbers.count(n) for n in sorted(points["n_base"].unique()))
    text = f"{queries} queries against a base of {base} items."
    if not name:
        return text
    counts = sorted(points.loc[points[name].notna(), f"{name}.n_left_out"].unique())
    if not counts or counts == [0]:
        return f"{text} Something is relevant to every query."
    shown = " or ".join(numbers.count(n) for n in counts)
    return (
        f"{text} Nothing is relevant to {shown} of them: these are left out of every mean, not 0."
    )


def _best_in_bold(quantity: Quantity, points: pd.DataFrame) -> list[str]:
    best = points[quantity.column].max()
    cells = zip(points[quantity.column], quantity.cells(points), strict=True)
    return [f"**{cell}**" if value == best else cell for value, cell in cells]
