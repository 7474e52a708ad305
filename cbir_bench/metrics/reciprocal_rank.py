"""Reciprocal rank. Voorhees, TREC-8, 1999."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff

if TYPE_CHECKING:
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("mrr")
def reciprocal_rank(positives: PositiveRanks, k: int | None) -> Quotients:
    """1 / rank of the first relevant item; ``mrr@k`` is 0 where that rank is above k.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[False, True, True], [False, False, True]])
    >>> reciprocal_rank(PositiveRanks.from_hits(hits, np.array([2, 2])), 2).scores
    array([0.5, 0. ])
    """
    first = place_of(positives) == 1
    if k is None:
        need_complete("mrr", positives)
    else:
        first &= positives.ranks <= need_cutoff("mrr", positives, k)
    return divided(sum_per_query(positives, first / positives.ranks), 1, positives)
