"""Operating points under load: several clients at once, and batches of several sizes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from cbir_bench.report import numbers, quantities
from cbir_bench.report.markdown import escape, table
from cbir_bench.report.verdict import NEARLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cbir_bench.report.choice import Section

MOST_POINTS: Final = 6
"""Operating points of a model that are shown; all are in the CSV files."""
MOST_MODELS: Final = 4
"""Models with figures and tables, those with the best quality; all are in the CSV files."""
LETTERS: Final = "ABCDEF"
"""What points are called in figure and tables."""
_POINT: Final = (
    "trial_id",
    "replicate",
    "dataset",
    "protocol",
    "model",
    "transform",
    "quantizer",
    "index",
    "reranker",
    "space",
    "k",
    "n_threads",
)


def points_under_load(section: Section, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the best models and the points that are shown of each, slowest first, with a ``letter``.

    They are the Pareto-optimal ones of the model; of more than ``MOST_POINTS`` some evenly along the
    frontier, both ends included. Where there is room, libraries without one come in with their fastest
    point that is nearly as good as the best.

    Args:
        section: whose points.
        column: "loads" or "batches"; points without any are left out.
    """
    competing = section.competing
    best = competing["model"].unique()[:MOST_MODELS]  # points come best first
    for model, points in competing[competing["model"].isin(best)].groupby("model", sort=False):
        measured = points[(points["loads"].map(len) > 0) | (points["batches"].map(len) > 0)]
        shown = _chosen(measured, section.metric)
        shown = shown.assign(letter=list(LETTERS[: len(shown)]))
        shown = shown[shown[column].map(len) > 0]
        if len(shown):
            yield str(model), shown


def _chosen(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    optimal = points[points["pareto_model"]].drop_duplicates([metric, "qps"]).sort_values("qps")
    places = np.linspace(0, len(optimal) - 1, min(len(optimal), MOST_POINTS))
    optimal = optimal.iloc[places.round().astype(int)]
    near = points[points[metric] >= NEARLY * points[metric].max()]
    others = near[~near["index_use"].isin(optimal["index_use"])].sort_values("qps", ascending=False)
    others = others.drop_duplicates("index_use")[: MOST_POINTS - len(optimal)]
    chosen: pd.DataFrame = pd.concat([optimal, others]).sort_values("qps", kind="stable")
    return chosen


def load_tables(section: Section) -> str:
    """Return throughput and p99 by the number of clients as Markdown, a table per model."""
    shown = list(points_under_load(section, "loads"))
    return "\n\n".join(
        _titled(model, _load_table(section, points), alone=len(shown) == 1)
        for model, points in shown
    )


def batches_tables(section: Section) -> str:
    """Return queries per second by the size of batches as Markdown, a table per model.

    Empty if there is one size only, which stands among the operating points.
    """
    shown = [
        (model, points)
        for model, points in points_under_load(section, "batches")
        if len(_sizes(points)) > 1
    ]
    return "\n\n".join(
        _titled(model, _batches_table(section, points), alone=len(shown) == 1)
        for model, points in shown
    )


def loads_of(points: pd.DataFrame) -> pd.DataFrame:
    """Return a row per trial, kind and number of clients, for the CSV file."""
    return _unfolded(points, "loads")


def batches_of(points: pd.DataFrame) -> pd.DataFrame:
    """Return a row per trial and size of batches, for the CSV file."""
    return _unfolded(points, "batches")


def _unfolded(points: pd.DataFrame, column: str) -> pd.DataFrame:
    rows = [
        {name: point[name] for name in _POINT} | asdict(one)
        for point in points.to_dict("records")
        for one in point[column]
    ]
    return pd.DataFrame(rows)


def _titled(model: str, text: str, *, alone: bool) -> str:
    return text if alone else f"#### {escape(model)}\n\n{text}"


def _load_table(section: Section, points: pd.DataFrame) -> str:
    clients = sorted({load.clients for loads in points["loads"] for load in loads})
    columns = quantities.telling_apart(points, section.axes)
    rows = []
    for name, point in zip(quantities.rows_of(points, columns), _records(points), strict=True):
        for kind in dict.fromkeys(load.kind for load in point["loads"]):
            found = {load.clients: load for load in point["loads"] if load.kind == kind}
            rows.append((point["letter"], *name, kind, *(_load(found.get(n)) for n in clients)))
    counts = [f"{numbers.count(n)} client{'s' if n > 1 else ''}" for n in clients]
    headers = ["", *(column.header for column in columns), "clients are", *counts]
    return table(headers, rows, right=range(len(headers) - len(clients), len(headers)))


def _load(load: Any) -> str:
    if load is None:
        return numbers.MISSING
    return f"{numbers.rate(load.qps)} ({numbers.microseconds(load.p99_us)})"


def _batches_table(section: Section, points: pd.DataFrame) -> str:
    sizes = _sizes(points)
    columns = quantities.telling_apart(points, section.axes)
    rows = []
    for name, point in zip(quantities.rows_of(points, columns), _records(points), strict=True):
        found = {batch.batch_size: batch.qps for batch in point["batches"]}
        rates = [numbers.rate(found.get(size, np.nan)) for size in sizes]
        rows.append((point["letter"], *name, numbers.rate(point["qps"]), *rates))
    headers = ["", *(column.header for column in columns), "single queries"]
    headers += [f"batches of {numbers.count(size)}" for size in sizes]
    return table(headers, rows, right=range(len(columns) + 1, len(headers)))


def _sizes(points: pd.DataFrame) -> list[int]:
    return sorted({batch.batch_size for batches in points["batches"] for batch in batches})


def _records(points: pd.DataFrame) -> Sequence[dict[Any, Any]]:
    return points.to_dict("records")
