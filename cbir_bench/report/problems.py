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


def failures_table(points: pd.DataFrame) -> str:
    """Return the failures as Markdown, those with the same reason (numbers aside) in one row."""
    failed = points[points["status"] != "ok"]
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for point in failed.to_dict("records"):
        groups[point["status"], _NUMBER.sub("0", point["reason"])].append(point)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
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
    hidden = len(ordered) - len(rows)
    return f"{text}\n\n{hidden} more reasons are in failures.csv." if hidden > 0 else text


def warnings_table(points: pd.DataFrame) -> str:
    """Return the warnings as Markdown, the most frequent first; empty if there are none."""
    counts = Counter(warning for warnings in points["warnings"] for warning in warnings)
    rows = [(numbers.count(n), escape(warning)) for warning, n in counts.most_common(MOST_GROUPS)]
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
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return numbers.MISSING if value is None else str(value)
