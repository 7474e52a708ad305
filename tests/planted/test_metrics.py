"""Mistakes that people make in divisors and ranks, and where there is no value: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.planting import Mistake, check_noticed, check_passes, promise

DEFINITIONS = "unit/metrics/test_definitions.py"
TRAPS = "unit/metrics/test_traps.py"
CURVES = "unit/metrics/test_curves.py"
NEIGHBOURS = "unit/metrics/test_neighbours.py"
PROPERTIES = "properties/test_metrics.py"

AP = "metrics/average_precision.py"
PRECISION = "metrics/precision.py"
RECALL = "metrics/recall.py"
RECIPROCAL = "metrics/reciprocal_rank.py"
OXFORD = "metrics/oxford.py"
PER_QUERY = "metrics/per_query.py"
REQUIREMENTS = "metrics/requirements.py"

BY_HAND = "three_of_four_found or complete_ranking or gains_from_1_to_3 or below_the_cutoff"

MISTAKES = [
    # What is divided by what.
    Mistake(
        "ap@k is divided by R, not by min(k, R)",
        AP,
        "divided(_precision_sum(positives, k), positives.n_relevant, positives)",
        "divided(_precision_sum(positives, k), np.minimum(positives.n_relevant, k or 10**9), positives)",
        TRAPS,
        "average_precision_has_three_divisors",
    ),
    Mistake(
        "ap@k is divided by R, not by the hits found",
        AP,
        "divided(_precision_sum(positives, k), positives.n_relevant, positives)",
        "divided(_precision_sum(positives, k), np.diff(positives.starts), positives)",
        TRAPS,
        "returning_less or average_precision_has_three_divisors",
    ),
    Mistake(
        "ap_min@k is divided by R where R is below k",
        AP,
        "np.minimum(positives.n_relevant, k), positives)",
        "k, positives)",
        TRAPS,
        "average_precision_has_three_divisors",
    ),
    Mistake(
        "ap_min@k is divided by k where k is below R",
        AP,
        "np.minimum(positives.n_relevant, k), positives)",
        "positives.n_relevant, positives)",
        TRAPS,
        "average_precision_has_three_divisors",
    ),
    Mistake(
        "map_at_r is divided by R, not by the hits among the first R",
        AP,
        "divided(total, positives.n_relevant, positives)",
        "divided(total, sum_per_query(positives, within_r(positives)), positives)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "map_at_r looks at the first R ranks only",
        AP,
        "_precisions(positives) * within_r(positives)",
        "_precisions(positives)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "precision@k is divided by k, not by min(k, R)",
        PRECISION,
        "positives.ranks <= k), k, positives)",
        "positives.ranks <= k), positives.n_relevant.clip(max=k), positives)",
        TRAPS,
        "precision_has_three_divisors",
    ),
    Mistake(
        "r_precision is divided by R, not by the hits found",
        PRECISION,
        "divided(hits, positives.n_relevant, positives)",
        "divided(hits, positives.starts[1:] - positives.starts[:-1], positives)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "recall@k is divided by R, not by min(k, R)",
        RECALL,
        'k = need_cutoff("recall", positives, k)\n'
        "    found = sum_per_query(positives, positives.ranks <= k)\n"
        "    return divided(found, positives.n_relevant, positives)",
        'k = need_cutoff("recall", positives, k)\n'
        "    found = sum_per_query(positives, positives.ranks <= k)\n"
        "    return divided(found, np.minimum(positives.n_relevant, k), positives)",
        TRAPS,
        "hit_rate_is_what",
    ),
    Mistake(
        "hit_rate@k is 0 or 1, and no share",
        RECALL,
        "divided(np.minimum(found, 1.0), 1, positives)",
        "divided(found, positives.n_relevant, positives)",
        TRAPS,
        "hit_rate_is_what",
    ),
    Mistake(
        "hit_rate@k counts two hits once",
        RECALL,
        "divided(np.minimum(found, 1.0), 1, positives)",
        "divided(found, 1, positives)",
        PROPERTIES,
        "lie_between_0_and_1 and hit_rate",
    ),
    Mistake(
        "knn_recall@k is divided by the neighbours there are, where the base is smaller than k",
        RECALL,
        'k = need_cutoff("knn_recall", positives, k)\n'
        "    found = sum_per_query(positives, positives.ranks <= k)\n"
        "    return divided(found, positives.n_relevant, positives)",
        'k = need_cutoff("knn_recall", positives, k)\n'
        "    found = sum_per_query(positives, positives.ranks <= k)\n"
        "    return divided(found, k, positives)",
        NEIGHBOURS,
        "base_smaller_than_k",
    ),
    Mistake(
        "oxford_precision@k is divided by the last relevant item's rank, where that is below k",
        OXFORD,
        "limit = np.where(found_all, np.minimum(last_rank(positives), k), k)",
        "limit = k",
        TRAPS,
        "precision_has_three_divisors",
    ),
    Mistake(
        "oxford_precision@k knows that the last item found is not the last relevant one",
        OXFORD,
        "limit = np.where(found_all, np.minimum(last_rank(positives), k), k)",
        "limit = np.minimum(last_rank(positives), k)",
        DEFINITIONS,
        "relevant_item_without_a_rank",
    ),
    # Ranks and places.
    Mistake(
        "hits up to a rank include the one at the rank",
        PER_QUERY,
        "np.arange(1, len(first) + 1) - first",
        "np.arange(len(first)) - first",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "the first R ranks include the R-th",
        AP,
        "positives.ranks <= limit",
        "positives.ranks < limit",
        DEFINITIONS,
        "as_many_ranks_as_relevant",
    ),
    Mistake(
        "the first k ranks include the k-th",
        AP,
        "precisions * (positives.ranks <= k)",
        "precisions * (positives.ranks < k)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "ranks begin with 1 in precision",
        AP,
        "place_of(positives) / positives.ranks",
        "place_of(positives) / (positives.ranks + 1)",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "precision at a hit counts the hits above it",
        AP,
        "place_of(positives) / positives.ranks",
        "1 / positives.ranks",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "mrr is of the first hit alone",
        RECIPROCAL,
        "place_of(positives) == 1",
        "place_of(positives) >= 1",
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "mrr@k is 0 where the first hit is below k",
        RECIPROCAL,
        'first &= positives.ranks <= need_cutoff("mrr", positives, k)',
        'need_cutoff("mrr", positives, k)',
        DEFINITIONS,
        BY_HAND,
    ),
    Mistake(
        "minp is of the last relevant item, not of the first",
        "metrics/inverse_penalty.py",
        "np.maximum(last_rank(positives), 1)",
        "positives.ranks[positives.starts[:-1]]",
        DEFINITIONS,
        BY_HAND,
    ),
    # Who has nothing to find, and what a cut ranking cannot tell.
    Mistake(
        "a query with nothing relevant is undefined, not 0",
        PER_QUERY,
        "denominator=np.where(defined, by, 0.0)",
        "denominator=np.where(defined, by, 1.0)",
        TRAPS,
        "left_out_and_counted",
    ),
    Mistake(
        "0 / 0 is not a number, and not 0",
        "core/metric.py",
        "np.full(len(self.numerator), np.nan)",
        "np.full(len(self.numerator), 0.0)",
        DEFINITIONS,
        "undefined_and_not_0",
    ),
    Mistake(
        "a mean curve leaves out queries with nothing relevant",
        "metrics/curves.py",
        "per_query[defined].mean(axis=0)",
        "np.nan_to_num(per_query).mean(axis=0)",
        CURVES,
        "no_part_in_the_mean",
    ),
    Mistake(
        "queries without hits keep their place",
        PER_QUERY,
        "np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts))",
        "np.unique(np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts)), return_inverse=True)[1]",
        DEFINITIONS,
        "keep_their_place",
    ),
    Mistake(
        "what needs a complete ranking refuses one that was cut",
        REQUIREMENTS,
        "if positives.depth is None:\n        return\n    alternative",
        "if True:\n        return\n    alternative",
        DEFINITIONS,
        "cut_ranking_has_no",
    ),
    Mistake(
        "what needs R ranks refuses fewer",
        REQUIREMENTS,
        "deepest <= positives.depth",
        "positives.depth > 0",
        TRAPS,
        "fewer_than_r_results",
    ),
    Mistake(
        "R ranks are needed of every query, not of one",
        REQUIREMENTS,
        "deepest = int(np.max(positives.n_relevant, initial=0))",
        "deepest = int(np.min(positives.n_relevant, initial=10**9))",
        DEFINITIONS,
        "fewer_ranks_than_relevant",
    ),
    Mistake(
        "a cutoff deeper than the ranking is refused",
        REQUIREMENTS,
        "k > positives.depth",
        "k > positives.depth + 1",
        DEFINITIONS,
        "exactly_the_ranking",
    ),
]


def test_without_a_mistake_the_tests_pass(runner):
    """Otherwise nothing would have been noticed."""
    check_passes(MISTAKES, runner)


@pytest.mark.parametrize("mistake", MISTAKES, ids=promise)
def test_a_mistake_is_noticed(mistake, runner):
    """By the tests that are there for it."""
    check_noticed(mistake, runner)
