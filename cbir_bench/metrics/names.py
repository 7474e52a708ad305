"""Names of metrics are values: ``ap@10`` is read once, compares, hashes and prints back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.errors import SettingError, UndefinedMetricError
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.core.registry import METRICS

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients

_CUTOFF: Final = re.compile(r"[1-9][0-9]{0,8}")
_NEIGHBOURS: Final = "knn_"
_NOTHING: Final = PositiveRanks(
    ranks=np.empty(0, np.int64),
    starts=np.zeros(1, np.int64),
    n_relevant=np.empty(0, np.int64),
    depth=None,
)


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric with its cutoff.

    Attributes:
        metric: the registered name.
        k: cutoff in ranks; None for the whole ranking.

    >>> MetricName.parse("ap@10")
    MetricName(metric='ap', k=10)
    >>> str(MetricName("ndcg", 5))
    'ndcg@5'
    """

    metric: str
    k: int | None = None

    @classmethod
    def parse(cls, text: str) -> MetricName:
        """Return the metric that ``text`` names: ``ap``, ``ap@10``.

        Raises:
            UnknownNameError: if no metric is called so.
            SettingError: if the cutoff is no whole number of at least 1, or is missing where the
                metric needs one, or is given where it takes none.
        """
        metric, at, cutoff = text.strip().partition("@")
        function = METRICS.get(metric)
        if at and not _CUTOFF.fullmatch(cutoff):
            raise SettingError(
                f"The metric {text!r} has {cutoff!r} for its cutoff. "
                f"Give a whole number of ranks, for example {metric}@10."
            )
        name = cls(metric, int(cutoff) if at else None)
        try:
            # A metric alone knows if it takes a cutoff; no queries and a complete ranking cannot make
            # it refuse for any other reason.
            function(_NOTHING, name.k)
        except UndefinedMetricError as error:
            raise SettingError(str(error)) from error
        return name

    @property
    def of_neighbours(self) -> bool:
        """Whether it sees the ranks of true neighbours (``knn_recall``) instead of relevant items."""
        return self.metric.startswith(_NEIGHBOURS)

    def quotients(self, positives: PositiveRanks) -> Quotients:
        """Return ``(n_queries,)`` numerators and denominators, 0 where a query has nothing relevant.

        Raises:
            UndefinedMetricError: if the ranking is too shallow for the metric.
        """
        quotients: Quotients = METRICS.get(self.metric)(positives, self.k)
        return quotients

    def scores(self, positives: PositiveRanks) -> Scores:
        """Return ``(n_queries,)`` values, NaN where a query has nothing relevant.

        Raises:
            UndefinedMetricError: if the ranking is too shallow for the metric.
        """
        return self.quotients(positives).scores

    def __str__(self) -> str:
        return self.metric if self.k is None else f"{self.metric}@{self.k}"
