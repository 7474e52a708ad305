"""What share of the relevant items, or of the true neighbours, was found; and whether any was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, sum_per_query
from cbir_bench.metrics.requirements import need_cutoff

if TYPE_CHECKING:
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("recall")
def recall(positives: PositiveRanks, k: int | None) -> Quotients:
    """Relevant items among the first k, divided by all relevant items in the base.

    Below 1 for every ranking where a query has more than k. Metric learning's "Recall@k" is
    ``hit_rate@k``.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> recall(PositiveRanks.from_hits(hits, np.array([5])), 4).scores
    array([0.4])
    """
    k = need_cutoff("recall", positives, k)
    found = sum_per_query(positives, positives.ranks <= k)
    return divided(found, positives.n_relevant, positives)


@METRICS.register("hit_rate")
def hit_rate(positives: PositiveRanks, k: int | None) -> Quotients:
    """1 if anything relevant is among the first k, else 0: metric learning's "Recall@k".

    Over all k it is the cumulative matching characteristic (``metrics.curves.cmc_curve``).

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[False, True, True], [False, False, True]])
    >>> hit_rate(PositiveRanks.from_hits(hits, np.array([2, 2])), 2).scores
    array([1., 0.])
    """
    k = need_cutoff("hit_rate", positives, k)
    found = sum_per_query(positives, positives.ranks <= k)
    return divided(np.minimum(found, 1.0), 1, positives)


@METRICS.register("knn_recall")
def knn_recall(positives: PositiveRanks, k: int | None) -> Quotients:
    """Share of the k exact nearest neighbours among the first k; knows no labels.

    Aumueller, Bernhardsson and Faithfull, 2020 (ann-benchmarks), with ties as in ``metrics.neighbours``.

    Args:
        positives: ranks of true neighbours, ``n_relevant`` being k, or less where the base is smaller.
        k: cutoff in ranks.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> near = np.array([[True, True, False, True]])
    >>> knn_recall(PositiveRanks.from_hits(near, np.array([4])), 4).scores
    array([0.75])
    """
    k = need_cutoff("knn_recall", positives, k)
    found = sum_per_query(positives, positives.ranks <= k)
    return divided(found, positives.n_relevant, positives)
