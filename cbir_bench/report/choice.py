"""What the report is about: the main metric, the points that compete, and the sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import SettingError, UnknownNameError
from cbir_bench.report.pareto import frontier
from cbir_bench.report.replicates import one_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

HARNESS: Final = "null"
"""The index that measures what the harness costs; it competes for nothing."""
EXACT: Final = "exact"
PLAIN: Final = "none"
"""What transforms, quantisers and re-rankers that do nothing are called."""
PREFERRED: Final = "map_at_r"
NEIGHBOURS: Final = "knn_recall"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """The points of one data set under one protocol, best first.

    Attributes:
        dataset, protocol: labels.
        points: the rows of the run's table that were measured, with the columns ``pareto`` (no point
            of the section is better) and ``pareto_model`` (no point of the same model is better). Of
            trials that differ in ``replicate`` alone only the one in the middle.
        replicates: all rows that were measured.
        metric: the main metric; empty where no metric has a value.
        recall: the ``knn_recall`` metric shown beside it; empty where there is none.
        metrics: all metrics of the run.
        axes: columns beyond model, quantizer, index and re-ranker in which points of the run differ.
    """

    dataset: str
    protocol: str
    points: pd.DataFrame
    replicates: pd.DataFrame
    metric: str
    recall: str
    metrics: tuple[str, ...]
    axes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the section is called."""
        return f"{self.dataset}, {self.protocol}"

    @property
    def competing(self) -> pd.DataFrame:
        """The points that could be chosen: all but the harness's own."""
        points = self.points[self.points["index_use"] != HARNESS]
        return points[points[self.metric].notna()] if self.metric else points.iloc[:0]


def main_metric(points: pd.DataFrame, metrics: Sequence[str], wanted: str | None) -> str:
    """Return the metric of plots and verdicts.

    Unless one is wanted: ``map_at_r`` if it has a value for every point, else the first metric of the
    suite that has, else the one with the most values; empty if none has any.

    Raises:
        SettingError: if the wanted metric is unknown, or has no value at all.
    """
    measured = points[(points["status"] == "ok") & (points["index_use"] != HARNESS)]
    if wanted is not None:
        if wanted not in metrics:
            raise UnknownNameError("metric of this run", wanted, metrics)
        if len(measured) and measured[wanted].isna().all():
            raise SettingError(
                f"The metric {wanted} has no value in this run "
                f"({measured[f'{wanted}.undefined'].iloc[0]}). Choose another with --metric."
            )
        return wanted
    names = [name for name in metrics if not name.startswith(NEIGHBOURS)]
    names.sort(key=lambda name: name != PREFERRED)
    counts = {name: int(measured[name].notna().sum()) for name in names}
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and counts[best] else ""


def sections(points: pd.DataFrame, metrics: tuple[str, ...], metric: str) -> list[Section]:
    """Return a section for each data set and protocol, in the order of the plan."""
    measured = points[points["status"] == "ok"]
    recall = next((name for name in metrics if name.startswith(NEIGHBOURS)), "")
    axes = tuple(name for name in ("space", "k", "n_threads") if len(measured[name].unique()) > 1)
    if (measured["transform_use"] != PLAIN).any():
        axes = ("transform", *axes)
    return [
        Section(
            dataset=str(dataset),
            protocol=str(protocol),
            points=_ranked(one_of_each(group, metric), metric),
            replicates=group,
            metric=metric,
            recall=recall,
            metrics=metrics,
            axes=axes,
        )
        for (dataset, protocol), group in measured.groupby(["dataset", "protocol"], sort=False)
    ]


def _ranked(group: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the points best first, with what is Pareto-optimal marked."""
    keys = [metric, "qps", "trial_id"] if metric else ["qps", "trial_id"]
    points = group.sort_values(keys, ascending=[*(False for _ in keys[1:]), True], kind="stable")
    points = points.reset_index(drop=True)
    points["pareto"] = points["pareto_model"] = False
    competes = points["index_use"] != HARNESS
    if not metric:
        return points
    chosen = points[competes]
    points.loc[competes, "pareto"] = frontier(chosen[metric], chosen["qps"])
    for _, rows in chosen.groupby("model", sort=False):
        points.loc[rows.index, "pareto_model"] = frontier(rows[metric], rows["qps"])
    return points
