"""Precision at a fixed rank, and at the rank that perfection would reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.average_precision import within_r
from cbir_bench.metrics.per_query import divided, sum_per_query
from cbir_bench.metrics.requirements import need_cutoff, need_first_r

if TYPE_CHECKING:
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("precision")
def precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Relevant items among the first k, divided by k: also where fewer than k exist or were found.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> precision(PositiveRanks.from_hits(hits, np.array([2])), 4).scores
    array([0.5])
    """
    k = need_cutoff("precision", positives, k)
    return divided(sum_per_query(positives, positives.ranks <= k), k, positives)


@METRICS.register("r_precision")
def r_precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Precision at rank R, where R is the query's number of relevant items: recall at R, too.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> r_precision(PositiveRanks.from_hits(hits, np.array([2])), None).scores
    array([0.5])
    """
    need_first_r("r_precision", positives, k)
    hits = sum_per_query(positives, within_r(positives))
    return divided(hits, positives.n_relevant, positives)
