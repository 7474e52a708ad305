"""Normalised discounted cumulative gain. Jarvelin and Kekalainen, ACM TOIS 20(4), 2002."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("ndcg")
def ndcg(positives: PositiveRanks, k: int | None) -> Quotients:
    """Sum of 1 / log2(rank + 1) over the relevant items, divided by that of the ideal order.

    The ideal order has all relevant items of the base first, found or not (trec_eval's ``ndcg`` and
    ``ndcg_cut``). ``ndcg@k`` cuts the ranking and the ideal order at k.
    """
    gains = _discount(positives.ranks)
    ideal = positives.n_relevant
    if k is None:
        need_complete("ndcg", positives)
    else:
        k = need_cutoff("ndcg", positives, k)
        gains = gains * (positives.ranks <= k)
        ideal = np.minimum(ideal, k)
    return divided(sum_per_query(positives, gains), _ideal(ideal), positives)


def _discount(ranks: NDArray[np.int64]) -> Scores:
    discount: Scores = 1.0 / np.log2(ranks + 1.0)
    return discount


def _ideal(n_first: NDArray[np.int64]) -> Scores:
    """Return the gain of each query's ideal order, added up as ``sum_per_query`` does it."""
    ranks = np.arange(1, np.max(n_first, initial=0) + 1)
    return np.concatenate([[0.0], np.cumsum(_discount(ranks))])[n_first]
