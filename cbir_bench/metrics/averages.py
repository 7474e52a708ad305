"""Four averages of a metric over queries, each a quotient of two sums, with its interval.

macro: every query counts the same. By class: every class does. Micro: numerators and denominators are
pooled. Weighted: every relevant item counts the same (Manning et al., 2008, section 13.6, for the first two
words).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.record import Estimate, MetricValue
from cbir_bench.metrics.bootstrap import ratio_intervals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients

_NOTHING = "None of the queries has anything to find in the base. Check labels and protocol."


def average(
    quotients: Mapping[str, Quotients],
    *,
    n_relevant: NDArray[np.int64] | None = None,
    classes: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> dict[str, MetricValue]:
    """Return the averages of each metric, with 95 % bootstrap intervals.

    Queries for which a metric is undefined are left out and counted, never averaged as 0; a class none of
    whose queries is defined is left out, too. The interval of the mean of class means is over classes;
    the others are over queries, or over clusters of them.

    Args:
        quotients: of ``(n_queries,)`` each, by name.
        n_relevant: ``(n_queries,)`` the weights; without it there is no weighted average.
        classes: ``(n_queries,)`` the class of each query; without it there is no mean of class means.
        clusters: ``(n_queries,)`` queries of one cluster are drawn together, because they depend on each
            other; None if each query stands for itself.
        seed: of the bootstrap.

    Raises:
        InvalidArrayError: if lengths differ.

    >>> import numpy as np
    >>> from cbir_bench.core.metric import Quotients
    >>> hits, relevant = np.array([1.0, 1.0, 8.0]), np.array([1.0, 1.0, 10.0])
    >>> value = average(
    ...     {"recall@10": Quotients(hits, relevant)},
    ...     n_relevant=np.array([1, 1, 10]),
    ...     classes=np.array([0, 0, 1]),
    ... )["recall@10"]
    >>> round(value.mean, 3), round(value.by_class.value, 3), round(value.micro.value, 3)
    (0.933, 0.9, 0.833)
    """
    _check_lengths(quotients, {"weights": n_relevant, "classes": classes, "clusters": clusters})
    alike: dict[bytes, list[str]] = {}
    for name, one in quotients.items():
        alike.setdefault((one.denominator > 0).tobytes(), []).append(name)
    values: dict[str, MetricValue] = {}
    for names in alike.values():
        defined = quotients[names[0]].denominator > 0
        queries = _Queries.of(defined, n_relevant, classes, clusters)
        values |= queries.average({name: quotients[name] for name in names}, seed)
    return {name: values[name] for name in quotients}


class _Ratio(NamedTuple):
    """An average: its sums are taken over ``(n_units,)`` units."""

    numerator: Scores
    denominator: Scores


class _Queries(NamedTuple):
    """Those queries for which a group of metrics is defined.

    Attributes:
        defined: ``(n_queries,)`` which of all queries they are.
        weights, classes, clusters: of the defined queries; codes count from 0 without gaps.
    """

    defined: NDArray[np.bool_]
    weights: Scores | None
    classes: NDArray[np.int64] | None
    clusters: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        defined: NDArray[np.bool_],
        n_relevant: NDArray[np.int64] | None,
        classes: NDArray[np.int64] | None,
        clusters: NDArray[np.int64] | None,
    ) -> _Queries:
        return cls(
            defined=defined,
            weights=None if n_relevant is None else n_relevant[defined].astype(np.float64),
            classes=None if classes is None else _dense(classes[defined]),
            clusters=None if clusters is None else _dense(clusters[defined]),
        )

    @property
    def n_classes(self) -> int:
        return 0 if self.classes is None else int(self.classes.max(initial=-1)) + 1

    def average(self, quotients: Mapping[str, Quotients], seed: int) -> dict[str, MetricValue]:
        """Return the averages of metrics that are defined for just these queries."""
        n_queries = int(self.defined.sum())
        n_left_out = len(self.defined) - n_queries
        if not n_queries:
            nothing = MetricValue(mean=None, n_left_out=n_left_out, undefined=_NOTHING)
            return dict.fromkeys(quotients, nothing)
        by_query = self._by_query(quotients, seed)
        by_class = self._by_class(quotients, seed)
        return {
            name: MetricValue(
                mean=by_query[name, "macro"].value,
                low=by_query[name, "macro"].low,
                high=by_query[name, "macro"].high,
                by_class=by_class.get(name),
                micro=by_query[name, "micro"],
                weighted=by_query.get((name, "weighted")),
                n_queries=n_queries,
                n_classes=self.n_classes,
                n_left_out=n_left_out,
            )
            for name in quotients
        }

    def _by_query(
        self, quotients: Mapping[str, Quotients], seed: int
    ) -> dict[tuple[str, str], Estimate]:
        """Return the averages whose units are queries, or clusters of them; drawn once for all."""
        ratios: dict[tuple[str, str], _Ratio] = {}
        for name, (numerator, denominator) in quotients.items():
            pooled = _Ratio(numerator[self.defined], denominator[self.defined])
            scores = pooled.numerator / pooled.denominator
            ratios[name, "macro"] = _Ratio(scores, np.ones(len(scores)))
            ratios[name, "micro"] = pooled
            if self.weights is not None and self.weights.all():
                ratios[name, "weighted"] = _Ratio(scores * self.weights, self.weights)
        return dict(zip(ratios, _estimates([*ratios.values()], self.clusters, seed), strict=True))

    def _by_class(self, quotients: Mapping[str, Quotients], seed: int) -> dict[str, Estimate]:
        """Return the means of class means, whose units are classes."""
        if self.classes is None:
            return {}
        ones = np.ones(self.n_classes)
        sizes = np.bincount(self.classes)
        ratios = [
            _Ratio(_sums(one.scores[self.defined], self.classes) / sizes, ones)
            for one in quotients.values()
        ]
        return dict(zip(quotients, _estimates(ratios, None, seed), strict=True))


def _estimates(
    ratios: Sequence[_Ratio], clusters: NDArray[np.int64] | None, seed: int
) -> list[Estimate]:
    """Return each ratio with its interval over units, or over clusters of them.

    There is no interval where there is one of them, which says nothing of spread.
    """
    values = [float(ratio.numerator.sum() / ratio.denominator.sum()) for ratio in ratios]
    if clusters is not None:
        ratios = [
            _Ratio(_sums(r.numerator, clusters), _sums(r.denominator, clusters)) for r in ratios
        ]
    if len(ratios[0].numerator) == 1:
        return [Estimate(value=value) for value in values]
    numerators, denominators = (np.stack(part) for part in zip(*ratios, strict=True))
    low, high = ratio_intervals(numerators, denominators, seed=seed)
    return [
        Estimate(value=value, low=min(float(one), value), high=max(float(other), value))
        for value, one, other in zip(values, low, high, strict=True)
    ]


def _sums(values: Scores, codes: NDArray[np.int64]) -> Scores:
    """Return the sum of the values that have each code."""
    return np.asarray(np.bincount(codes, weights=values), np.float64)


def _dense(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes that count from 0 without gaps, in the same order."""
    return np.unique(codes, return_inverse=True)[1].reshape(-1)


def _check_lengths(
    quotients: Mapping[str, Quotients], columns: Mapping[str, NDArray[np.int64] | None]
) -> None:
    lengths = {name: len(one.numerator) for name, one in quotients.items()}
    lengths |= {what: len(column) for what, column in columns.items() if column is not None}
    if quotients and len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} of {what}" for what, n in lengths.items())
        raise InvalidArrayError(
            f"There are values of different length: {shown}. Give one per query."
        )
