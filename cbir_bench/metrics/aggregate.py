"""From rankings to numbers: every metric per query, its mean over queries, and the mean's interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.record import MetricValue
from cbir_bench.metrics.bootstrap import mean_intervals
from cbir_bench.metrics.names import MetricName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


class NeighbourRanks(Protocol):
    """Knows which results are true neighbours (``metrics.neighbours.FoundNeighbours``)."""

    def positives(self, k: int) -> PositiveRanks:
        """Return the ranks of the results that belong to the ``k`` nearest."""
        ...


class Evaluation(NamedTuple):
    """Both dictionaries are in the order of the names; ``quotients`` has no entry where there is no value.

    Attributes:
        values: averages by name.
        quotients: of every query, by name.
    """

    values: dict[str, MetricValue]
    quotients: dict[str, Quotients]

    @property
    def scores(self) -> dict[str, Scores]:
        """``(n_queries,)`` values by name, NaN where undefined."""
        return {name: one.scores for name, one in self.quotients.items()}


def evaluate(
    names: Iterable[str | MetricName],
    positives: PositiveRanks,
    *,
    neighbours: NeighbourRanks | None = None,
    complete: Mapping[str, Quotients] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return every metric per query and averaged.

    Args:
        names: what to compute.
        positives: ranks of the relevant items.
        neighbours: for the metrics of neighbours; without it they have no value.
        complete: quotients of the complete ranking (``metrics.complete.complete_quotients``) by name, taken
            where ``positives`` is cut too early for a metric.
        seed: of the bootstrap.

    Raises:
        UnknownNameError, SettingError: if a name is no metric's.
    """
    found: dict[str, Quotients] = {}
    reasons: dict[str, str] = {}
    parsed = [MetricName.parse(name) if isinstance(name, str) else name for name in names]
    for name in parsed:
        try:
            found[str(name)] = _quotients(name, positives, neighbours)
        except UndefinedMetricError as error:
            if complete is not None and str(name) in complete:
                found[str(name)] = complete[str(name)]
            else:
                reasons[str(name)] = str(error)
    values = average({name: one.scores for name, one in found.items()}, seed=seed)
    values |= {name: MetricValue(mean=None, undefined=why) for name, why in reasons.items()}
    return Evaluation(values={str(name): values[str(name)] for name in parsed}, quotients=found)


def _quotients(
    name: MetricName, positives: PositiveRanks, neighbours: NeighbourRanks | None
) -> Quotients:
    if not name.of_neighbours:
        return name.quotients(positives)
    if neighbours is None or name.k is None:
        raise UndefinedMetricError(
            f"{name} needs the exact neighbours of the queries, which were not computed. "
            "Pass them to evaluate()."
        )
    return name.quotients(neighbours.positives(name.k))


def average(scores: Mapping[str, Scores], *, seed: int = 0) -> dict[str, MetricValue]:
    """Return the macro average of each metric: the mean over queries, each of the same weight.

    Queries for which a metric is NaN are left out and counted, never averaged as 0.

    Args:
        scores: ``(n_queries,)`` values by name.
        seed: of the bootstrap.
    """
    alike: dict[bytes, list[str]] = {}
    for name, column in scores.items():
        alike.setdefault(np.isnan(column).tobytes(), []).append(name)
    values: dict[str, MetricValue] = {}
    for names in alike.values():
        values |= _average_alike({name: scores[name] for name in names}, seed)
    return {name: values[name] for name in scores}


def _average_alike(scores: dict[str, Scores], seed: int) -> dict[str, MetricValue]:
    """Return the averages of metrics that are defined for the same queries."""
    table = np.stack(list(scores.values()))
    defined = np.ascontiguousarray(table[:, ~np.isnan(table[0])])
    n_queries, n_left_out = defined.shape[1], table.shape[1] - defined.shape[1]
    if not n_queries:
        why = "None of the queries has anything to find in the base. Check labels and protocol."
        nothing = MetricValue(mean=None, n_left_out=n_left_out, undefined=why)
        return dict.fromkeys(scores, nothing)
    means = defined.mean(axis=1)
    low, high = mean_intervals(defined, seed=seed)
    return {
        name: MetricValue(
            mean=float(means[i]),
            low=float(low[i]) if n_queries > 1 else None,
            high=float(high[i]) if n_queries > 1 else None,
            n_queries=n_queries,
            n_left_out=n_left_out,
        )
        for i, name in enumerate(scores)
    }
