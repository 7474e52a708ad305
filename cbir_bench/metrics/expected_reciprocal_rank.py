"""Expected reciprocal rank. Chapelle, Metzler, Zhang and Grinspan, CIKM 2009."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff, need_powers_of_gains

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("err")
def expected_reciprocal_rank(positives: PositiveRanks, k: int | None) -> Quotients:
    """Mean of 1 / rank at which a user stops who looks from the top and may be satisfied by each item.

    An item of gain g satisfies with probability (2^g - 1) / 2^highest; where items have no gains, with
    1/2. ``err@k`` counts the ranks up to k. It is not normalised: a single perfect item gives 1/2, and
    nothing reaches 1.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True]])
    >>> expected_reciprocal_rank(PositiveRanks.from_hits(hits, np.array([2])), 3).scores.round(3)
    array([0.583])
    """
    if k is None:
        need_complete("err", positives)
    else:
        k = need_cutoff("err", positives, k)
    need_powers_of_gains("err", positives)
    satisfied = _satisfaction(positives)
    stops = satisfied * _product_above(positives, 1 - satisfied) / positives.ranks
    if k is not None:
        stops *= positives.ranks <= k
    return divided(sum_per_query(positives, stops), 1, positives)


def _satisfaction(positives: PositiveRanks) -> Scores:
    """Return ``(n_found,)`` how probably the item at each rank satisfies: below 1."""
    if positives.gains is None or positives.grades is None:
        return np.full(len(positives.ranks), 0.5)
    satisfied: Scores = (np.exp2(positives.gains) - 1) / np.exp2(positives.grades.highest)
    return satisfied


def _product_above(positives: PositiveRanks, factors: Scores) -> Scores:
    """Return ``(n_found,)`` the product of the factors of all positives above each rank.

    In log2 of the longest query's steps, each of which doubles how many factors a product holds: what is
    multiplied with what depends on a query's own places alone.
    """
    places = place_of(positives)
    products = np.where(places > 1, np.roll(factors, 1), 1.0)
    reach = 1
    while reach < np.max(places, initial=0):
        longer = np.flatnonzero(places > reach)
        products[longer] *= products[longer - reach]
        reach *= 2
    return products
