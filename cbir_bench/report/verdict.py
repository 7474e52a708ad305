"""The answer in words: what is best, what is fastest and what is smallest at nearly the same quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cbir_bench.report import numbers
from cbir_bench.report.choice import PLAIN
from cbir_bench.report.markdown import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cbir_bench.report.choice import Section

NEARLY: Final = 0.99
"""A point is nearly as good as the best if its quality is at least this share of the best."""


def name_of(point: Any, section: Section) -> str:
    """Return a point's model and settings as Markdown, without what does nothing."""
    return f"{escape(point['model'])} + {escape(settings_of(point, section))}"


def settings_of(point: Any, section: Section) -> str:
    """Return a point's settings in plain words, without what does nothing."""
    parts = [point["index"]]
    parts += [point[name] for name in ("quantizer", "reranker") if point[f"{name}_use"] != PLAIN]
    parts += [f"{name} = {point[name]}" for name in section.axes]
    return " + ".join(parts)


def verdict(section: Section) -> str:
    """Return the verdict on a data set and protocol as a Markdown list."""
    points = section.competing
    if not len(points):
        return "- Nothing was measured that could be compared."
    best = points.iloc[0]
    near = points[points[section.metric] >= NEARLY * best[section.metric]]
    lines = [
        f"**Best quality**: {name_of(best, section)}, {_quality(best, section)}, {_cost(best)}."
    ]
    fastest = _first(near, "qps", ascending=False)
    smallest = _first(near, "index_bytes", ascending=True)
    if fastest is not None:
        lines.append(_near("Fastest", fastest, best, section))
    if smallest is not None:
        lines.append(_near("Smallest index", smallest, best, section))
    lines += _doubt(points, best, section)
    lines += _disturbed({"best": best, "fastest": fastest, "smallest": smallest})
    return "\n".join(f"- {line}" for line in lines)


def _near(what: str, point: pd.Series[Any], best: pd.Series[Any], section: Section) -> str:
    head = f"**{what} within 1 % of it**:"
    if point["trial_id"] == best["trial_id"]:
        return f"{head} the best itself."
    gains = [
        f"{numbers.significant(ratio, 2)} times {what}"
        for ratio, what in (
            (point["qps"] / best["qps"], "its speed"),
            (point["index_bytes"] / best["index_bytes"], "its size"),
        )
        if ratio == ratio  # noqa: PLR0124  NaN where a cost was not measured
    ]
    detail = [_quality(point, section), _cost(point), *gains]
    return f"{head} {name_of(point, section)}, {', '.join(detail)}."


def _doubt(points: pd.DataFrame, best: pd.Series[Any], section: Section) -> list[str]:
    """Say how many points the interval of the best does not tell apart from it."""
    overlapping = points[f"{section.metric}.high"] >= best[f"{section.metric}.low"]
    others = int(overlapping.sum()) - 1
    if others < 1:
        return []
    text = (
        f"The 95 % intervals of {others:,} of the other {len(points) - 1:,} points overlap that of "
    )
    return [f"{text}the best: they may be as good."]


def _disturbed(chosen: Mapping[str, pd.Series[Any] | None]) -> list[str]:
    """Say which of the chosen points other programs disturbed, each once; nothing if none."""
    names: dict[str, str] = {}
    for name, point in chosen.items():
        if point is not None and point["quiet"] is not None and point["quiet"].n_disturbed:
            names.setdefault(point["trial_id"], name)
    if not names:
        return []
    *others, last = names.values()
    shown = f"{', '.join(others)} and {last} points" if others else f"{last} point"
    text = (
        f"Other programs disturbed the latency passes of the {shown}: measure on a quieter machine "
        "before you decide by speed."
    )
    return [text]


def _quality(point: pd.Series[Any], section: Section) -> str:
    name = section.metric
    interval = numbers.with_interval(point[name], point[f"{name}.low"], point[f"{name}.high"])
    return f"{escape(name)} {interval}"


def _cost(point: pd.Series[Any]) -> str:
    return (
        f"{numbers.rate(point['qps'])} queries/s (p99 {numbers.microseconds(point['p99_us'])}), "
        f"index {numbers.size(point['index_bytes'])}"
    )


def _first(points: pd.DataFrame, column: str, *, ascending: bool) -> pd.Series[Any] | None:
    """Return the point with the best cost; among equals the better one, which comes first."""
    measured = points[points[column].notna()]
    if not len(measured):
        return None
    return measured.sort_values(column, ascending=ascending, kind="stable").iloc[0]
