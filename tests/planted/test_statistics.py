"""Mistakes that people make in averages, intervals and comparisons: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.planting import Mistake, check_noticed, check_passes, promise

AVERAGES_TESTS = "unit/metrics/test_averages.py"
AGGREGATE_TESTS = "unit/metrics/test_aggregate.py"
BOOTSTRAP_TESTS = "unit/metrics/test_bootstrap.py"
COMPARISON_TESTS = "unit/metrics/test_comparison.py"

AVERAGES = "metrics/averages.py"
AGGREGATE = "metrics/aggregate.py"
BOOTSTRAP = "metrics/bootstrap.py"
COMPARISON = "metrics/comparison.py"

MISTAKES = [
    # Four averages, and who has a part in them.
    Mistake(
        "the macro average is the mean of quotients",
        AVERAGES,
        'ratios[name, "macro"] = _Ratio(scores, np.ones(len(scores)))',
        'ratios[name, "macro"] = pooled',
        AVERAGES_TESTS,
        "hides_something_else",
    ),
    Mistake(
        "the micro average is the quotient of sums",
        AVERAGES,
        'ratios[name, "micro"] = pooled',
        'ratios[name, "micro"] = _Ratio(scores, np.ones(len(scores)))',
        AVERAGES_TESTS,
        "hides_something_else",
    ),
    Mistake(
        "the weighted average has weights",
        AVERAGES,
        "_Ratio(scores * self.weights, self.weights)",
        "_Ratio(scores, np.ones(len(scores)))",
        AVERAGES_TESTS,
        "hides_something_else",
    ),
    Mistake(
        "the weighted average is divided by the sum of its weights",
        AVERAGES,
        "_Ratio(scores * self.weights, self.weights)",
        "_Ratio(scores * self.weights, np.full(len(scores), self.weights[0]))",
        AVERAGES_TESTS,
        "hides_something_else",
    ),
    Mistake(
        "the weights are R, not the denominators of the metric",
        AVERAGES,
        "_Ratio(scores * self.weights, self.weights)",
        "_Ratio(pooled.numerator, pooled.denominator)",
        AVERAGES_TESTS,
        "loops_in_fractions",
    ),
    Mistake(
        "every class counts the same, however many queries it has",
        AVERAGES,
        "_sums(one.scores[self.defined], self.classes) / sizes, ones",
        "_sums(one.scores[self.defined], self.classes), sizes.astype(np.float64)",
        AVERAGES_TESTS,
        "hides_something_else",
    ),
    Mistake(
        "the mean of a class is over those of its queries that are defined",
        AVERAGES,
        "sizes = np.bincount(self.classes)",
        "sizes = np.full(self.n_classes, len(self.defined) / self.n_classes)",
        AVERAGES_TESTS,
        "loops_in_fractions",
    ),
    Mistake(
        "a class without any defined query is no class",
        AVERAGES,
        "_dense(classes[defined])",
        "_dense(classes)[defined]",
        AVERAGES_TESTS,
        "left_out_for_different_queries",
    ),
    Mistake(
        "codes of classes need not be without gaps",
        AVERAGES,
        "return np.unique(codes, return_inverse=True)[1].reshape(-1)",
        "return codes - codes.min(initial=0)",
        AVERAGES_TESTS,
        "interval_of_class_means",
    ),
    Mistake(
        "undefined queries have no part in the mean",
        AVERAGES,
        "defined = quotients[names[0]].denominator > 0",
        "defined = quotients[names[0]].denominator >= 0",
        AVERAGES_TESTS,
        "queries_that_have_something_to_find",
    ),
    Mistake(
        "undefined queries are counted",
        AVERAGES,
        "n_left_out = len(self.defined) - n_queries",
        "n_left_out = 0",
        AVERAGES_TESTS,
        "queries_that_have_something_to_find",
    ),
    Mistake(
        "each metric leaves out its own undefined queries",
        AVERAGES,
        "alike.setdefault((one.denominator > 0).tobytes(), [])",
        'alike.setdefault(b"", [])',
        AVERAGES_TESTS,
        "left_out_for_different_queries",
    ),
    Mistake(
        "metrics of neighbours are not weighted with relevant items",
        AGGREGATE,
        "((False, self.n_relevant), (True, None))",
        "((False, self.n_relevant), (True, self.n_relevant))",
        AGGREGATE_TESTS,
        "scored_by_neighbours",
    ),
    Mistake(
        "metrics of neighbours see neighbours, and no relevant items",
        AGGREGATE,
        "return name.quotients(neighbours.positives(name.k))",
        "return name.quotients(positives)",
        AGGREGATE_TESTS,
        "scored_by_neighbours",
    ),
    # Intervals.
    Mistake(
        "the interval of class means is over classes",
        AVERAGES,
        "ratios = [\n"
        "            _Ratio(_sums(one.scores[self.defined], self.classes) / sizes, ones)\n"
        "            for",
        "weights = len(self.classes) / (sizes[self.classes] * self.n_classes)\n"
        "        ratios = [\n"
        "            _Ratio(one.scores[self.defined] * weights, np.ones(len(weights)))\n"
        "            for",
        AVERAGES_TESTS,
        "interval_of_class_means",
    ),
    Mistake(
        "the interval is over clusters where there are some",
        AVERAGES,
        "if clusters is not None:",
        "if False:",
        AVERAGES_TESTS,
        "queries_of_a_cluster",
    ),
    Mistake(
        "a cluster of many queries weighs more than one of few",
        AVERAGES,
        "_Ratio(_sums(r.numerator, clusters), _sums(r.denominator, clusters)) for r in ratios",
        "_Ratio(_sums(r.numerator, clusters) / _sums(r.denominator, clusters),"
        " np.ones(clusters.max() + 1)) for r in ratios",
        AVERAGES_TESTS,
        "clusters_of_one or queries_of_a_cluster",
    ),
    Mistake(
        "an interval leaves out 2.5 % at each end",
        BOOTSTRAP,
        "_TAIL: Final = 0.025",
        "_TAIL: Final = 0.05",
        BOOTSTRAP_TESTS,
        "textbook",
    ),
    Mistake(
        "the interval is corrected, not that of plain percentiles",
        BOOTSTRAP,
        "place = normal.cdf(bias + moved / (1 - a * moved))",
        "place = tail",
        BOOTSTRAP_TESTS,
        "bias_and_the_skew",
    ),
    Mistake(
        "the correction for skew has the right sign",
        BOOTSTRAP,
        "influence = without.mean(axis=1, keepdims=True) - without",
        "influence = without - without.mean(axis=1, keepdims=True)",
        BOOTSTRAP_TESTS,
        "acceleration_is_that",
    ),
    Mistake(
        "the correction for skew enters with its sign",
        BOOTSTRAP,
        "moved / (1 - a * moved)",
        "moved / (1 + a * moved)",
        BOOTSTRAP_TESTS,
        "scipy",
    ),
    Mistake(
        "the correction for skew is a sixth of the third moment",
        BOOTSTRAP,
        "np.divide(cubes, 6 * squares,",
        "np.divide(cubes, squares,",
        BOOTSTRAP_TESTS,
        "acceleration_is_that",
    ),
    Mistake(
        "leaving out a unit leaves it out of the denominator, too",
        BOOTSTRAP,
        "rest = denominators.sum(axis=1, keepdims=True) - denominators",
        "rest = denominators.sum(axis=1, keepdims=True)",
        BOOTSTRAP_TESTS,
        "acceleration_is_that",
    ),
    Mistake(
        "the correction for bias has the right sign",
        BOOTSTRAP,
        "bias = normal.inv_cdf(share)",
        "bias = -normal.inv_cdf(share)",
        BOOTSTRAP_TESTS,
        "scipy",
    ),
    Mistake(
        "the correction for bias is made",
        BOOTSTRAP,
        "bias = normal.inv_cdf(share)",
        "bias = 0.0",
        BOOTSTRAP_TESTS,
        "scipy",
    ),
    Mistake(
        "the correction for bias enters twice",
        BOOTSTRAP,
        "normal.cdf(bias + moved / (1 - a * moved))",
        "normal.cdf(moved / (1 - a * moved))",
        BOOTSTRAP_TESTS,
        "scipy",
    ),
    Mistake(
        "the bootstrap repeats itself",
        BOOTSTRAP,
        "random = np.random.default_rng(seed)",
        "random = np.random.default_rng()",
        BOOTSTRAP_TESTS,
        "drawn_in_blocks",
    ),
    Mistake(
        "the bootstrap depends on its seed",
        BOOTSTRAP,
        "random = np.random.default_rng(seed)",
        "random = np.random.default_rng(0)",
        BOOTSTRAP_TESTS,
        "repeats_itself",
    ),
    Mistake(
        "the bootstrap draws every unit, the last one included",
        BOOTSTRAP,
        "random.integers(0, n_units, (n, n_units), dtype=np.int32)",
        "random.integers(0, max(1, n_units - 1), (n, n_units), dtype=np.int32)",
        BOOTSTRAP_TESTS,
        "scipy",
    ),
    Mistake(
        "the bootstrap draws with replacement",
        BOOTSTRAP,
        "random.integers(0, n_units, (n, n_units), dtype=np.int32)",
        "random.permuted(np.tile(np.arange(n_units, dtype=np.int32), (n, 1)), axis=1)",
        BOOTSTRAP_TESTS,
        "textbook",
    ),
    Mistake(
        "numerators and denominators are drawn together",
        BOOTSTRAP,
        "resampled = sums[:, : len(numerators)] / sums[:, len(numerators) :]",
        "resampled = sums[:, : len(numerators)] / exact[1].sum(axis=1)",
        BOOTSTRAP_TESTS,
        "quotients_of_sums",
    ),
    # Comparisons.
    Mistake(
        "a positive difference is one in favour of the second system",
        COMPARISON,
        "difference=mean_b - mean_a",
        "difference=mean_a - mean_b",
        COMPARISON_TESTS,
        "second_less_the_first",
    ),
    Mistake(
        "wins are wins of the second system",
        COMPARISON,
        "n_wins=int((differences > 0).sum())",
        "n_wins=int((differences < 0).sum())",
        COMPARISON_TESTS,
        "second_less_the_first",
    ),
    Mistake(
        "the randomisation test is two-sided",
        COMPARISON,
        "(abs(2 * (bits @ moving) - moving.sum()) >= as_far)",
        "(2 * (bits @ moving) - moving.sum() >= as_far)",
        COMPARISON_TESTS,
        "few_queries",
    ),
    Mistake(
        "sums as large as the one observed count as such",
        COMPARISON,
        "as_far = abs(moving.sum()) - TIE * np.abs(moving).sum()",
        "as_far = abs(moving.sum()) + TIE * np.abs(moving).sum()",
        COMPARISON_TESTS,
        "few_queries",
    ),
    Mistake(
        "the assignment that was observed is one of those that could have been",
        COMPARISON,
        "float(sum(extreme) + 1) / (N_PERMUTATIONS + 1)",
        "float(sum(extreme)) / N_PERMUTATIONS",
        COMPARISON_TESTS,
        "no_impossibility",
    ),
    Mistake(
        "signs that are drawn depend on the seed",
        COMPARISON,
        "random = np.random.default_rng(seed)",
        "random = np.random.default_rng(0)",
        COMPARISON_TESTS,
        "repeats_itself",
    ),
    Mistake(
        "queries of a cluster change their signs together",
        COMPARISON,
        "if clusters is None:\n        return differences",
        "if True:\n        return differences",
        COMPARISON_TESTS,
        "clusters_change_signs",
    ),
    Mistake(
        "systems are compared on the same queries only",
        COMPARISON,
        "np.flatnonzero(np.isnan(before) != np.isnan(after))",
        "np.flatnonzero(np.isnan(before) & np.isnan(after) & False)",
        COMPARISON_TESTS,
        "cannot_be_compared",
    ),
    Mistake(
        "the interval of a difference is that of pairs",
        COMPARISON,
        "_interval(sums, counts, mean_b - mean_a, seed)",
        "_interval(after, np.ones(len(after)), mean_b - mean_a, seed)",
        COMPARISON_TESTS,
        "equal_systems",
    ),
    Mistake(
        "the interval of a difference has its sign",
        COMPARISON,
        "_interval(sums, counts, mean_b - mean_a, seed)",
        "_interval(-sums, counts, mean_b - mean_a, seed)",
        COMPARISON_TESTS,
        "interval_is_of_paired",
    ),
    Mistake(
        "Holm's factors step down",
        COMPARISON,
        "np.arange(len(values), 0, -1)",
        "len(values)",
        COMPARISON_TESTS,
        "holm",
    ),
    Mistake(
        "no adjusted p-value is less than one that was smaller before",
        COMPARISON,
        "np.minimum(np.maximum.accumulate(stepped), 1.0)",
        "np.minimum(stepped, 1.0)",
        COMPARISON_TESTS,
        "holm",
    ),
    Mistake(
        "an adjusted p-value is a probability",
        COMPARISON,
        "np.minimum(np.maximum.accumulate(stepped), 1.0)",
        "np.maximum.accumulate(stepped)",
        COMPARISON_TESTS,
        "holm",
    ),
    Mistake(
        "adjusted p-values are in the order of those that were given",
        COMPARISON,
        "adjusted[order] = ",
        "adjusted[:] = ",
        COMPARISON_TESTS,
        "holm",
    ),
]


def test_without_a_mistake_the_tests_pass(runner):
    """Otherwise nothing would have been noticed."""
    check_passes(MISTAKES, runner)


@pytest.mark.parametrize("mistake", MISTAKES, ids=promise)
def test_a_mistake_is_noticed(mistake, runner):
    """By the tests that are there for it."""
    check_noticed(mistake, runner)
