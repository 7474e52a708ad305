"""The border of the stage ``metrics``: a metric is a pure function of positive ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.ranking import PositiveRanks


class Quotients(NamedTuple):
    """A metric of every query as a quotient, so that it can be averaged by query or pooled.

    The mean of the quotients is the macro average; the quotient of the sums is the micro average.

    Attributes:
        numerator: ``(n_queries,)`` at least 0.
        denominator: ``(n_queries,)`` what bounds the numerator, such as that of the perfect ranking; 0
            where a query has nothing relevant.
    """

    numerator: Scores
    denominator: Scores

    @property
    def scores(self) -> Scores:
        """``(n_queries,)`` values; NaN where a query has nothing relevant."""
        values = np.full(len(self.numerator), np.nan)
        np.divide(self.numerator, self.denominator, out=values, where=self.denominator > 0)
        return values


class MetricFunction(Protocol):
    """Registered in ``METRICS``; ``ap`` is a name, ``ap@10`` the same function with ``k = 10``."""

    def __call__(self, positives: PositiveRanks, k: int | None) -> Quotients:
        """Return ``(n_queries,)`` quotients in [0, 1]; 0 / 0 where a query has nothing relevant.

        Args:
            positives: ranks of the relevant items.
            k: cutoff in ranks; None for the whole ranking.

        Raises:
            UndefinedMetricError: if the ranking is too shallow for the metric, or ``k`` is missing
                or superfluous.
        """
        ...
