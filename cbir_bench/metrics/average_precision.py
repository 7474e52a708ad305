"""Average precision. Manning, Raghavan and Schuetze, 2008, section 8.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff, need_first_r

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("ap")
def average_precision(positives: PositiveRanks, k: int | None) -> Quotients:
    """Average precision: the mean of precision@i over the ranks i that hold a relevant item.

    ``ap@k`` counts the ranks up to ``k`` only. Both divide by the number of relevant items in the
    base, found or not, as trec_eval's ``map`` and ``map_cut`` do: returning less is never rewarded.
    """
    if k is None:
        need_complete("ap", positives)
        return divided(_precision_sum(positives, None), positives.n_relevant, positives)
    cut = positives.ranks <= need_cutoff("ap", positives, k)
    return divided(_precision_sum(positives, cut), positives.n_relevant, positives)


@METRICS.register("map_at_r")
def average_precision_at_r(positives: PositiveRanks, k: int | None) -> Quotients:
    """Average precision over the first R ranks, where R is the query's number of relevant items.

    Musgrave, Belongie and Lim, 2020: the sum over i <= R of precision@i at hits, divided by R.
    """
    need_first_r("map_at_r", positives, k)
    return divided(_precision_sum(positives, within_r(positives)), positives.n_relevant, positives)


def within_r(positives: PositiveRanks) -> NDArray[np.bool_]:
    """Return ``(n_found,)`` True where a rank is at most its query's number of relevant items."""
    limit = positives.n_relevant.repeat(positives.starts[1:] - positives.starts[:-1])
    inside: NDArray[np.bool_] = positives.ranks <= limit
    return inside


def _precision_sum(positives: PositiveRanks, counted: NDArray[np.bool_] | None) -> Scores:
    """Return the sum of the precisions at each query's hits, those not counted left out."""
    precision = place_of(positives) / positives.ranks
    return sum_per_query(positives, precision if counted is None else precision * counted)
