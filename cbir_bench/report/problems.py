"""What failed, what to be careful with, and where it ran."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.report import numbers
from cbir_bench.report.markdown import code, escape, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

MOST_GROUPS: Final = 12
SETTINGS: Final = (
    "dataset",
    "protocol",
    "model",
    "transform",
    "quantizer",
    "index",
    "reranker",
)
_NUMBER: Final = re.compile(r"\d[\d.,]*")
_MEANING: Final = {
    "refused": "a setting cannot work",
    "timeout": "took longer than allowed",
    "out_of_memory": "needed more memory than allowed",
    "crashed": "the process died",
    "failed": "the library raised an error or answered nonsense",
}
LEFT_OUT: Final = "skipped"
"""The status of trials that are neither results nor failures."""


def failures(points: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of trials that should have had a result and have none."""
    return points[~points["status"].isin(["ok", LEFT_OUT])]


def skipped(points: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of trials that were left out, for example since a library is not installed."""
    return points[points["status"] == LEFT_OUT]


def failures_table(points: pd.DataFrame) -> str:
    """Return the failures as Markdown, those with the same reason (numbers aside) in one row."""
    ordered = _grouped(failures(points))
    rows = [
        (
            numbers.count(len(group)),
            escape(f"{group[0]['status']}: {_MEANING.get(group[0]['status'], '')}"),
            _shared(group, "index"),
            escape(group[0]["reason"]),
            code(group[0]["trial_id"]),
        )
        for group in ordered[:MOST_GROUPS]
    ]
    text = table(["trials", "what happened", "index", "reason", "for example"], rows, right=[0])
    return text + _more(ordered, "failures.csv")


def skipped_table(points: pd.DataFrame) -> str:
    """Return why trials were left out as Markdown, the same reason (numbers aside) in one row."""
    ordered = _grouped(skipped(points))
    rows = [
        (numbers.count(len(group)), _shared(group, "index"), escape(group[0]["reason"]))
        for group in ordered[:MOST_GROUPS]
    ]
    return table(["trials", "index", "reason"], rows, right=[0]) + _more(ordered, "skipped.csv")


def warnings_table(points: pd.DataFrame) -> str:
    """Return the warnings as Markdown, the most frequent first; empty if there are none.

    Warnings that differ in numbers alone are one row, with the numbers of the first.
    """
    said: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for warnings in points["warnings"]:
        alike = {_NUMBER.sub("0", warning): warning for warning in warnings}
        counts.update(alike.keys())
        said = alike | said
    rows = [(numbers.count(n), escape(said[key])) for key, n in counts.most_common(MOST_GROUPS)]
    return table(["trials", "warning"], rows, right=[0]) if rows else ""


def environment_table(points: pd.DataFrame) -> str:
    """Return where the trials ran as Markdown: what they share, or how far it varied."""
    values: dict[str, list[Any]] = defaultdict(list)
    for environment in points["environment"]:
        for name, value in _flat(environment):
            is_size = name.endswith("_bytes") and value is not None
            values[name.removesuffix("_bytes")].append(numbers.size(value) if is_size else value)
    rows = [(escape(name), _varied(values[name])) for name in sorted(values)]
    return table(["", "value"], rows) if rows else "Nothing was recorded."


def _grouped(points: pd.DataFrame) -> list[list[Any]]:
    """Return points that share status and reason, numbers aside; the largest group first."""
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for point in points.to_dict("records"):
        groups[point["status"], _NUMBER.sub("0", point["reason"])].append(point)
    return sorted(groups.values(), key=lambda group: -len(group))


def _more(groups: list[list[Any]], file: str) -> str:
    hidden = len(groups) - MOST_GROUPS
    return f"\n\n{hidden} more reasons are in {file}." if hidden > 0 else ""


def _shared(group: list[Any], column: str) -> str:
    names = list(dict.fromkeys(point[column] for point in group))
    shown = ", ".join(escape(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _varied(values: list[Any]) -> str:
    """Return what all values are, or the range of numbers, or the first few of other things."""
    distinct = list(dict.fromkeys(_text(value) for value in values))
    if len(distinct) == 1:
        return escape(distinct[0])
    if all(isinstance(value, int | float) for value in values):
        return f"{_text(min(values))} to {_text(max(values))}"
    if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return ", ".join(_varied(list(column)) for column in zip(*values, strict=True))
    return escape(f"{'; '.join(distinct[:4])}{'; ...' if len(distinct) > 4 else ''}")


def _text(value: Any) -> str:
    if isinstance(value, list) and value:
        return ", ".join(map(str, value))
    return numbers.MISSING if value is None or value == [] else str(value)
