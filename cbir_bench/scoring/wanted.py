"""Which metrics are computed: those that were asked for, or all that make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import SettingError
from cbir_bench.metrics.names import MetricName

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPLETE: Final = (
    "ap", "map_at_r", "r_precision", "mrr", "ndcg", "hit_rate@1", "hit_rate@5", "hit_rate@10",
    "precision@10", "recall@10", "recall@100", "ap@10", "ndcg@10",
)  # fmt: skip
"""By default, of complete rankings."""
OF_GRADES: Final = ("ndcg_exp", "err")
"""In addition, where some relevant items are more relevant than others."""
OF_CAMERAS: Final = ("minp",)
"""In addition, where there are cameras: what person re-identification reports."""
REVISITED: Final = (
    "oxford_ap",
    "oxford_precision@1",
    "oxford_precision@5",
    "oxford_precision@10",
    "ap",
)
"""By default, of Revisited Oxford and Paris."""
_CUT: Final = ("ap", "mrr", "ndcg", "ndcg_exp", "err")
"""Metrics of the complete ranking that have a value at the depth of one that was cut."""


def parse_metrics(wanted: str | Iterable[str]) -> list[MetricName]:
    """Return the metrics that a text with commas, or a list, names; each once.

    Raises:
        UnknownNameError, SettingError: if a name is no metric's, or none of exact search or given rankings.
    """
    texts = wanted.split(",") if isinstance(wanted, str) else list(map(str, wanted))
    names = list(dict.fromkeys(MetricName.parse(text) for text in texts if text.strip()))
    if not names:
        raise SettingError("No metric is named. Name at least one, for example ap.")
    neighbours = next((name for name in names if name.of_neighbours), None)
    if neighbours is not None:
        raise SettingError(
            f"{neighbours} holds an index against exact search; here it could only be 1, or not be known. "
            "Leave it out, or measure indexes with `cbir-bench run`."
        )
    return names


def refuse_deeper(names: Iterable[MetricName], n_items: int) -> None:
    """Refuse cutoffs beyond what a query can find at all.

    Raises:
        SettingError: if a cutoff is more than ``n_items``.
    """
    for name in names:
        if name.k is not None and name.k > n_items:
            raise SettingError(
                f"{name} needs {name.k} ranks but a query can find {n_items} items at most. "
                "Choose a smaller cutoff."
            )


def within(names: Iterable[str], n_items: int) -> list[MetricName]:
    """Return those metrics whose cutoffs are not beyond ``n_items``."""
    parsed = [MetricName.parse(name) for name in names]
    return [name for name in parsed if name.k is None or name.k <= n_items]


def of_ranking(depth: int | None, *, graded: bool) -> list[MetricName]:
    """Return the metrics, by default, of rankings that were cut at ``depth``; None: that are complete.

    Raises:
        SettingError: if nothing is left of them.
    """
    if depth == 0:
        raise SettingError(
            "Nothing is left of the shortest ranking after junk and the query itself were removed. "
            "Retrieve more results."
        )
    names = [*COMPLETE, *(OF_GRADES if graded else ())]
    if depth is None:
        return list(map(MetricName.parse, names))
    return within(dict.fromkeys(f"{n}@{depth}" if n in _CUT else n for n in names), depth)
