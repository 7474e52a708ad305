"""Average precision. Manning, Raghavan and Schuetze, 2008, section 8.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff, need_first_r

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("ap")
def average_precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Average precision: precision@i summed over the ranks i that hold a relevant item, divided by R.

    ``ap@k`` counts the ranks up to ``k`` only. R is the number of relevant items in the
    base, found or not, as in trec_eval's ``map`` and ``map_cut``: returning less is never rewarded.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> average_precision(PositiveRanks.from_hits(hits, np.array([4])), 5).scores
    array([0.41666667])
    """
    if k is None:
        need_complete("ap", positives)
    else:
        k = need_cutoff("ap", positives, k)
    return divided(_precision_sum(positives, k), positives.n_relevant, positives)


@METRICS.register("ap_min")
def average_precision_min(positives: PositiveRanks, k: int | None) -> Quotients:
    """Average precision over the first k, divided by min(k, R): 1 for k hits, however many there are.

    ``ap_min@100`` is the mAP@100 of Google Landmarks v2 (Weyand, Araujo, Cao and Sim, CVPR 2020,
    section 5). It equals ``ap@k`` for every query with at most k relevant items.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> average_precision_min(PositiveRanks.from_hits(hits, np.array([4])), 3).scores
    array([0.55555556])
    """
    k = need_cutoff("ap_min", positives, k)
    return divided(_precision_sum(positives, k), np.minimum(positives.n_relevant, k), positives)


@METRICS.register("map_at_r")
def average_precision_at_r(positives: PositiveRanks, k: int | None) -> Quotients:
    """Average precision over the first R ranks, where R is the query's number of relevant items.

    Musgrave, Belongie and Lim, ECCV 2020: the sum over i <= R of precision@i at hits, divided by R.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> average_precision_at_r(PositiveRanks.from_hits(hits, np.array([4])), None).scores
    array([0.41666667])
    """
    need_first_r("map_at_r", positives, k)
    total = sum_per_query(positives, _precisions(positives) * within_r(positives))
    return divided(total, positives.n_relevant, positives)


def within_r(positives: PositiveRanks) -> NDArray[np.bool_]:
    """Return ``(n_found,)`` True where a rank is at most its query's number of relevant items."""
    limit = positives.n_relevant.repeat(positives.starts[1:] - positives.starts[:-1])
    inside: NDArray[np.bool_] = positives.ranks <= limit
    return inside


def _precision_sum(positives: PositiveRanks, k: int | None) -> Scores:
    """Return the sum of the precisions at each query's hits, those below rank ``k`` left out."""
    precisions = _precisions(positives)
    return sum_per_query(
        positives, precisions if k is None else precisions * (positives.ranks <= k)
    )


def _precisions(positives: PositiveRanks) -> Scores:
    """Return ``(n_found,)`` the precision at each rank."""
    precisions: Scores = place_of(positives) / positives.ranks
    return precisions
