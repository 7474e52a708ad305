"""The border of the stage ``metrics``: a metric is a pure function of positive ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.ranking import PositiveRanks


class MetricFunction(Protocol):
    """Registered in ``METRICS``; ``ap`` is a name, ``ap@10`` the same function with ``k = 10``."""

    def __call__(self, positives: PositiveRanks, k: int | None) -> Scores:
        """Return ``(n_queries,)`` values in [0, 1]; NaN where a query has nothing relevant.

        Args:
            positives: ranks of the relevant items.
            k: cutoff in ranks; None for the whole ranking.

        Raises:
            UndefinedMetricError: if the ranking is too shallow for the metric, or ``k`` is missing
                or superfluous.
        """
        ...
