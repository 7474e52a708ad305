"""What scoring gives: every metric averaged and per query, and what the numbers are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.metrics.aggregate import average, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores, Space
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks
    from cbir_bench.core.record import MetricValue
    from cbir_bench.metrics.names import MetricName
    from cbir_bench.scoring.exact import Exact, MeanCurve

ProtocolName: TypeAlias = Literal["full-base", "query-set"]
Resampled: TypeAlias = Literal["queries", "classes", "clusters"]


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What the numbers are about.

    Attributes:
        n_queries: how many there are, those without anything relevant included.
        n_base: how many items are searched; None if nobody said.
        protocol: full-base: every query is an item of the base; None if rankings were given without base.
        labels: what decides relevance: the name of labels, a difficulty, or "qrels".
        space: where vectors were compared; None if rankings were given.
        dim: their dimensions.
        depth: ranks of rankings that were given; None if they are complete.
        resample: what intervals are over.
        seed: of their draws.
    """

    n_queries: int
    n_base: int | None = None
    protocol: ProtocolName | None = None
    labels: str = "label"
    space: Space | None = None
    dim: int | None = None
    depth: int | None = None
    resample: Resampled = "queries"
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Units:
    """What averages and intervals are over, besides queries.

    Attributes:
        n_relevant: ``(n_queries,)`` relevant items in the base: the weights.
        classes: ``(n_queries,)`` codes, for the mean of class means.
        class_names: the name of each code.
        clusters: ``(n_queries,)`` codes; queries of one cluster are drawn together.
    """

    n_relevant: NDArray[np.int64]
    classes: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    clusters: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scored:
    """Metrics of one system.

    Attributes:
        values: averages with their intervals, by metric.
        quotients: numerators and denominators of every query, by metric, where it has a value.
        units: classes, clusters and numbers of relevant items.
        about: sizes, protocol and settings.
        curves: mean curves by name, where they were asked for.
        notes: sentences that a reader of the numbers should know.
    """

    values: Mapping[str, MetricValue]
    quotients: Mapping[str, Quotients]
    units: Units
    about: About
    curves: Mapping[str, MeanCurve] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def per_query(self) -> dict[str, Scores]:
        """``(n_queries,)`` values by metric; NaN where a query has nothing relevant."""
        return {name: one.scores for name, one in self.quotients.items()}

    def table(self) -> str:
        """Return all averages as a table of text, with what they are about above and below."""
        from cbir_bench.scoring.tables import score_table

        return score_table(self)

    def __str__(self) -> str:
        return self.table()


def scored_exactly(found: Exact, units: Units, about: About, notes: Iterable[str] = ()) -> Scored:
    """Return the averages of what exact search found."""
    values = average(
        found.quotients,
        n_relevant=units.n_relevant,
        classes=units.classes,
        clusters=units.clusters,
        seed=about.seed,
    )
    return Scored(
        values=values,
        quotients=found.quotients,
        units=units,
        about=about,
        curves=found.curves,
        notes=tuple(notes),
    )


def scored_ranking(
    names: Iterable[MetricName],
    positives: PositiveRanks,
    units: Units,
    about: About,
    notes: Iterable[str] = (),
    *,
    refuse: bool,
) -> Scored:
    """Return the averages of given rankings.

    Args:
        names: metrics.
        positives: ranks of relevant items.
        units: as many queries.
        about: what the numbers are about.
        notes: for the reader.
        refuse: whether a metric without a value is an error (it was asked for) or is shown with the reason.

    Raises:
        UndefinedMetricError: if ``refuse`` and a metric has no value for such rankings.
    """
    values, quotients = evaluate(
        names, positives, classes=units.classes, clusters=units.clusters, seed=about.seed
    )
    reasons = [value.undefined for value in values.values() if value.undefined]
    if reasons and (refuse or len(reasons) == len(values)):
        raise UndefinedMetricError(reasons[0])
    return Scored(values=values, quotients=quotients, units=units, about=about, notes=tuple(notes))
