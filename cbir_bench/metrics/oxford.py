"""What Oxford and Paris Buildings are scored with. Philbin, Chum, Isard, Sivic and Zisserman, CVPR 2007.

As revisited by Radenovic, Iscen, Tolias, Avrithis and Chum, CVPR 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, last_rank, n_found, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff

if TYPE_CHECKING:
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("oxford_ap")
def oxford_average_precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Area under the precision-recall curve by the trapezoid rule, junk removed before.

    Each hit adds the mean of the precision before and after it, divided by R; the precision before the
    first rank is 1. It lies below ``ap`` unless the ranking is perfect: never average or compare the two.
    ``oxford_ap@k`` counts the hits up to rank k.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> oxford_average_precision(PositiveRanks.from_hits(hits, np.array([4])), 6).scores.round(3)
    array([0.508])
    """
    if k is None:
        need_complete("oxford_ap", positives)
    else:
        k = need_cutoff("oxford_ap", positives, k)
    places, ranks = place_of(positives), positives.ranks
    after = places / ranks
    before = np.where(ranks > 1, (places - 1) / np.maximum(ranks - 1, 1), 1.0)
    areas = (before + after) / 2
    if k is not None:
        areas *= ranks <= k
    return divided(sum_per_query(positives, areas), positives.n_relevant, positives)


@METRICS.register("oxford_precision")
def oxford_precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Revisited Oxford and Paris's mP@k: precision at k, or at the last relevant item's rank if less.

    A query with fewer than k relevant items can so reach 1, which ``precision@k`` does not allow.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False]])
    >>> oxford_precision(PositiveRanks.from_hits(hits, np.array([2])), 5).scores.round(3)
    array([0.667])
    """
    k = need_cutoff("oxford_precision", positives, k)
    # An item that was not found stands below rank k, wherever it is.
    found_all = n_found(positives) == positives.n_relevant
    limit = np.where(found_all, np.minimum(last_rank(positives), k), k)
    return divided(sum_per_query(positives, positives.ranks <= k), limit, positives)
