"""Builds of one index that do not repeat themselves: one point for all, and how far they lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cbir_bench.report import numbers, quantities
from cbir_bench.report.markdown import table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from cbir_bench.report.choice import Section

MOST_ROWS: Final = 20
"""Of more points the Pareto-optimal ones are shown first."""
IDENTITY: Final = (
    "dataset",
    "protocol",
    "embeddings_key",
    "model",
    "transform",
    "quantizer",
    "index",
    "reranker",
    "space",
    "k",
    "n_threads",
)
"""Columns that say which point a row is; replicates agree in all of them."""


def one_of_each(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a row per point: that of the replicate in the middle by the main metric, then by speed.

    Of an even number it is the lower one of the two in the middle, so that no point looks better than
    half of its builds. ``build_key`` becomes that of the first replicate, since search settings whose
    middle replicates differ belong to one curve all the same.

    Args:
        points: rows of measured trials.
        metric: the main metric; empty if none has a value.
    """
    if not points["replicate"].any():
        return points
    keys = [metric, "qps", "trial_id"] if metric else ["qps", "trial_id"]
    chosen = []
    for _, rows in points.groupby(list(IDENTITY), sort=False, dropna=False):
        middle = rows.sort_values(keys, kind="stable").iloc[[(len(rows) - 1) // 2]]
        first = rows.sort_values("replicate", kind="stable")["build_key"].iloc[0]
        chosen.append((middle.index[0], first))
    kept = points.loc[[place for place, _ in chosen]]
    return kept.assign(build_key=[first for _, first in chosen])


def replicates_table(section: Section) -> str:
    """Return least and largest value of what differs from build to build as Markdown.

    A row per point that was built more than once, best first; empty if there is none.
    """
    replicates = section.replicates
    groups = dict(list(replicates.groupby(list(IDENTITY), sort=False, dropna=False)))
    keys = section.points[list(IDENTITY)].itertuples(index=False, name=None)
    several = [groups[key] for key in keys if len(groups[key]) > 1]
    if not several:
        return ""
    shown = _most_telling(several, section)
    firsts = section.points[
        section.points["index"].isin([rows["index"].iloc[0] for rows in several])
    ]
    columns = quantities.telling_apart(firsts, section.axes)
    spreads = _spreads(section)
    rows = [
        (
            *(column.cells(group)[0] for column in columns),
            numbers.count(len(group)),
            *(_spread(group[name], write) for name, _, write in spreads),
        )
        for group in shown
    ]
    headers = [*(c.header for c in columns), "builds", *(header for _, header, _ in spreads)]
    text = table(headers, rows, right=range(len(columns), len(headers)))
    hidden = len(several) - len(rows)
    if hidden:
        text += f"\n\n{numbers.count(hidden)} more are in operating_points.csv, a row per build."
    return text


def _most_telling(several: list[pd.DataFrame], section: Section) -> list[pd.DataFrame]:
    """Return at most ``MOST_ROWS`` of the points, in their order."""
    optimal = set(section.points.loc[section.points["pareto"], "trial_id"])
    places = sorted(range(len(several)), key=lambda i: optimal.isdisjoint(several[i]["trial_id"]))
    return [several[i] for i in sorted(places[:MOST_ROWS])]


def _spreads(section: Section) -> list[tuple[str, str, Callable[[float], str]]]:
    names = dict.fromkeys(name for name in (section.recall, section.metric) if name)
    return [
        *((name, name, numbers.fraction) for name in names),
        ("p50_us", "p50", numbers.microseconds),
        ("build_seconds", "build", numbers.duration),
    ]


def _spread(values: pd.Series[float], write: Callable[[float], str]) -> str:
    """Return least and largest of the values that are known, or the one value that all have."""
    ends = [write(values.min()), write(values.max())]
    return " to ".join(dict.fromkeys(ends))
