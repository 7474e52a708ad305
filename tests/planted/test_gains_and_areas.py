"""Mistakes that people make in gains, and in areas under precision and recall: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.planting import Mistake, check_noticed, check_passes, promise

DEFINITIONS = "unit/metrics/test_definitions.py"
TRAPS = "unit/metrics/test_traps.py"
CURVES = "unit/metrics/test_curves.py"
PROPERTIES = "properties/test_metrics.py"

NDCG = "metrics/ndcg.py"
OXFORD = "metrics/oxford.py"
INTERPOLATED = "metrics/interpolated.py"
ERR = "metrics/expected_reciprocal_rank.py"

BY_HAND = "three_of_four_found or complete_ranking or gains_from_1_to_3 or below_the_cutoff"

MISTAKES = [
    # nDCG and expected reciprocal rank.
    Mistake(
        "ndcg divides by log2(rank + 1)",
        NDCG,
        "1.0 / np.log2(ranks + 1.0)",
        "1.0 / np.log2(ranks + 2.0)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "ndcg discounts the second rank, which the first definition of 2002 does not",
        NDCG,
        "1.0 / np.log2(ranks + 1.0)",
        "1.0 / np.log2(np.maximum(ranks, 2.0))",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "ndcg@k cuts the ranking",
        NDCG,
        "values = _cut(_discount(positives.ranks), positives.ranks, k)",
        "values = _discount(positives.ranks)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "ndcg@k cuts the ideal order, too",
        NDCG,
        "np.minimum(positives.n_relevant, k)",
        "positives.n_relevant",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "the ideal order of ndcg has what was not found",
        NDCG,
        "n_first = positives.n_relevant if k is None else np.minimum(positives.n_relevant, k)",
        "n_first = np.diff(positives.starts)",
        TRAPS,
        "ideal_of_ndcg",
    ),
    Mistake(
        "the ideal order of graded ndcg has what was not found",
        NDCG,
        "sum_per_query(grades, best), positives)",
        "sum_per_query(positives, _discount(place_of(positives)) * gain(positives.gains)), positives)",
        TRAPS,
        "ideal_of_graded",
    ),
    Mistake(
        "the ideal order of graded ndcg@k is cut at k",
        NDCG,
        "_cut(_discount(places), places, k) * gain(grades.values)",
        "_discount(places) * gain(grades.values)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "exponential gain is 2^gain - 1",
        NDCG,
        "np.exp2(gains) - 1",
        "np.exp2(gains)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "exponential gain has the base 2",
        NDCG,
        "np.exp2(gains) - 1",
        "np.expm1(gains)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "ndcg has linear gain, ndcg_exp exponential gain",
        NDCG,
        "_normalised(positives, k, _linear)",
        "_normalised(positives, k, _exponential)",
        TRAPS,
        "linear_and_exponential",
    ),
    Mistake(
        "err discounts by the chance that the user has stopped",
        ERR,
        "satisfied * _product_above(positives, 1 - satisfied) / positives.ranks",
        "satisfied / positives.ranks",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "err goes on where the user was not satisfied",
        ERR,
        "_product_above(positives, 1 - satisfied)",
        "_product_above(positives, satisfied)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "err does not discount an item by itself",
        ERR,
        "products = np.where(places > 1, np.roll(factors, 1), 1.0)",
        "products = factors.copy()",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "err multiplies over all items above, not over a few",
        ERR,
        "        reach *= 2",
        "        reach *= 4",
        PROPERTIES,
        "definition_in_fractions and err",
    ),
    Mistake(
        "err knows the highest gain there could be, not that was found",
        ERR,
        "np.exp2(positives.grades.highest)",
        "np.exp2(positives.gains.max())",
        TRAPS,
        "satisfaction_is_relative",
    ),
    Mistake(
        "err is satisfied by half where items have no gains",
        ERR,
        "np.full(len(positives.ranks), 0.5)",
        "np.full(len(positives.ranks), 1.0)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "err@k counts the first k ranks",
        ERR,
        "stops *= positives.ranks <= k",
        "pass",
        DEFINITIONS,
        BY_HAND,
    ),
    # Areas under precision and recall.
    Mistake(
        "oxford_ap is a trapezoid and no rectangle",
        OXFORD,
        "areas = (before + after) / 2",
        "areas = after",
        TRAPS,
        "trapezoid",
    ),
    Mistake(
        "the precision before the first rank is 1",
        OXFORD,
        "np.maximum(ranks - 1, 1), 1.0)",
        "np.maximum(ranks - 1, 1), 0.0)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "the precision before a hit does not count it",
        OXFORD,
        "(places - 1) / np.maximum(ranks - 1, 1)",
        "places / np.maximum(ranks - 1, 1)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "the precision before a hit is that of the rank above it, not of the last hit",
        OXFORD,
        "np.where(ranks > 1, (places - 1) / np.maximum(ranks - 1, 1), 1.0)",
        "np.where(places > 1, np.roll(after, 1), 1.0)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "oxford_ap@k counts the first k ranks",
        OXFORD,
        "areas *= ranks <= k",
        "pass",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "eleven points are eleven",
        INTERPOLATED,
        '_mean_of_levels("ap_11pt", positives, k, 11)',
        '_mean_of_levels("ap_11pt", positives, k, 10)',
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "interpolation takes the best precision at a recall or above, not below",
        INTERPOLATED,
        "np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]",
        "np.maximum.accumulate(best, axis=1)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "interpolated precision never rises with recall",
        INTERPOLATED,
        "np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]",
        "best",
        CURVES,
        "never_rises",
    ),
    Mistake(
        "three hits of ten reach the recall .3",
        INTERPOLATED,
        "first = -(-positives.n_relevant[:, None] * np.arange(n_levels) // steps).clip(max=-1)",
        "first = np.ceil(positives.n_relevant[:, None] * (0.1 * np.arange(n_levels)))"
        ".astype(int).clip(min=1)",
        DEFINITIONS,
        "three_of_ten",
    ),
    Mistake(
        "a recall that the ranking never reaches has the precision 0",
        INTERPOLATED,
        "reached = first <= n_found(positives)[:, None]",
        "first = np.minimum(first, n_found(positives)[:, None]); reached = first > 0",
        DEFINITIONS,
        "relevant_item_without_a_rank",
    ),
    Mistake(
        "the cumulative matching characteristic is cumulative",
        "metrics/curves.py",
        "first[:, None] <= cutoffs",
        "first[:, None] == cutoffs",
        CURVES,
        "cumulative",
    ),
    Mistake(
        "the last of the recalls of a curve is 1",
        "metrics/curves.py",
        "np.arange(levels) / (levels - 1)",
        "np.arange(levels) / levels",
        CURVES,
        "eleven_recalls",
    ),
]


def test_without_a_mistake_the_tests_pass(runner):
    """Otherwise nothing would have been noticed."""
    check_passes(MISTAKES, runner)


@pytest.mark.parametrize("mistake", MISTAKES, ids=promise)
def test_a_mistake_is_noticed(mistake, runner):
    """By the tests that are there for it."""
    check_noticed(mistake, runner)
