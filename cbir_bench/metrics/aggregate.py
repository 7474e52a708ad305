"""From rankings to numbers: every metric per query, its averages over queries, and their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.record import MetricValue
from cbir_bench.metrics.averages import average
from cbir_bench.metrics.names import MetricName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


__all__ = ["Evaluation", "NeighbourRanks", "average", "evaluate"]


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
    classes: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
    neighbours: NeighbourRanks | None = None,
    complete: Mapping[str, Quotients] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return every metric per query and averaged.

    Args:
        names: what to compute.
        positives: ranks of the relevant items.
        classes: ``(n_queries,)`` the class of each query, for the mean of class means.
        clusters: ``(n_queries,)`` queries of one cluster depend on each other, so that intervals are over
            clusters; None if each stands for itself.
        neighbours: for the metrics of neighbours; without it they have no value.
        complete: quotients of the complete ranking (``metrics.complete.complete_quotients``) by name, taken
            where ``positives`` is cut too early for a metric.
        seed: of the bootstrap.

    Raises:
        UnknownNameError, SettingError: if a name is no metric's.
        InvalidArrayError: if classes or clusters are more or fewer than the queries.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True], [False, False, True]])
    >>> values, _ = evaluate(["hit_rate@1", "mrr@3"], PositiveRanks.from_hits(hits, np.array([2, 1])))
    >>> {name: round(value.mean, 3) for name, value in values.items()}
    {'hit_rate@1': 0.5, 'mrr@3': 0.667}
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
    units = _Units(positives.n_relevant, classes, clusters, seed)
    values = units.average({name: found[str(name)] for name in parsed if str(name) in found})
    values |= {name: MetricValue(mean=None, undefined=why) for name, why in reasons.items()}
    return Evaluation(values={str(name): values[str(name)] for name in parsed}, quotients=found)


class _Units(NamedTuple):
    """What averages and intervals are taken over, besides the queries."""

    n_relevant: NDArray[np.int64]
    classes: NDArray[np.int64] | None
    clusters: NDArray[np.int64] | None
    seed: int

    def average(self, quotients: Mapping[MetricName, Quotients]) -> dict[str, MetricValue]:
        """Return all averages; metrics of neighbours know no relevant items that could be weights."""
        values: dict[str, MetricValue] = {}
        for of_neighbours, weights in ((False, self.n_relevant), (True, None)):
            values |= average(
                {str(n): q for n, q in quotients.items() if n.of_neighbours == of_neighbours},
                n_relevant=weights,
                classes=self.classes,
                clusters=self.clusters,
                seed=self.seed,
            )
        return values


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
