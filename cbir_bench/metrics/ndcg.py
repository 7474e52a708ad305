"""Normalised discounted cumulative gain. Jarvelin and Kekalainen, ACM TOIS 20(4), 2002."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, place_of, sum_per_query
from cbir_bench.metrics.requirements import need_complete, need_cutoff, need_powers_of_gains

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("ndcg")
def ndcg(positives: PositiveRanks, k: int | None) -> Quotients:
    """Sum of gain / log2(rank + 1) over the relevant items, divided by that of the ideal order.

    The gain is 1 where items have none. The ideal order has all relevant items of the base first, best
    first, found or not (trec_eval's ``ndcg`` and ``ndcg_cut``). ``ndcg@k`` cuts the ranking and the
    ideal order at k.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> ndcg(PositiveRanks.from_hits(hits, np.array([4])), 3).scores.round(3)
    array([0.704])
    """
    _need("ndcg", positives, k)
    return _normalised(positives, k, _linear)


@METRICS.register("ndcg_exp")
def ndcg_exponential(positives: PositiveRanks, k: int | None) -> Quotients:
    """``ndcg`` with 2^gain - 1 in the place of the gain: the best items outweigh all others.

    Burges, Shaked, Renshaw, Lazier, Deeds, Hamilton and Hullender, ICML 2005. The same as ``ndcg``
    where items have no gains, or only those of 0 and 1.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import Grades, PositiveRanks
    >>> gains = np.array([[1.0, 3.0]])
    >>> grades = Grades(values=np.array([3.0, 1.0]), starts=np.array([0, 2]), highest=3.0)
    >>> found = PositiveRanks.from_hits(gains > 0, np.array([2]), gains=gains, grades=grades)
    >>> ndcg_exponential(found, 2).scores.round(3), ndcg(found, 2).scores.round(3)
    (array([0.71]), array([0.797]))
    """
    _need("ndcg_exp", positives, k)
    need_powers_of_gains("ndcg_exp", positives)
    return _normalised(positives, k, _exponential)


def _need(metric: str, positives: PositiveRanks, k: int | None) -> None:
    if k is None:
        need_complete(metric, positives)
    else:
        need_cutoff(metric, positives, k)


def _normalised(
    positives: PositiveRanks, k: int | None, gain: Callable[[Scores], Scores]
) -> Quotients:
    """Return the discounted gains of the ranking and of the ideal order, both cut at ``k``."""
    values = _cut(_discount(positives.ranks), positives.ranks, k)
    if positives.gains is None or positives.grades is None:
        n_first = positives.n_relevant if k is None else np.minimum(positives.n_relevant, k)
        return divided(sum_per_query(positives, values), _ideal(n_first), positives)
    grades = positives.grades
    places = place_of(grades)
    best = _cut(_discount(places), places, k) * gain(grades.values)
    values = values * gain(positives.gains)
    return divided(sum_per_query(positives, values), sum_per_query(grades, best), positives)


def _linear(gains: Scores) -> Scores:
    return gains


def _exponential(gains: Scores) -> Scores:
    grown: Scores = np.exp2(gains) - 1
    return grown


def _discount(ranks: NDArray[np.int64]) -> Scores:
    discount: Scores = 1.0 / np.log2(ranks + 1.0)
    return discount


def _cut(values: Scores, ranks: NDArray[np.int64], k: int | None) -> Scores:
    return values if k is None else values * (ranks <= k)


def _ideal(n_first: NDArray[np.int64]) -> Scores:
    """Return what gains of 1 in the first ranks add up to, added as ``sum_per_query`` does it."""
    ranks = np.arange(1, np.max(n_first, initial=0) + 1)
    return np.concatenate([[0.0], np.cumsum(_discount(ranks))])[n_first]
