"""Two systems on the same queries: by how much, how sure, and how often."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import averages_by_loops

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.comparison import compare, holm


def systems(n_queries, seed, better=0.05, noise=0.2):
    """Return the scores of two systems, the second a little better."""
    random = np.random.default_rng(seed)
    first = random.random(n_queries)
    return first, first + random.normal(better, noise, n_queries)


def test_the_difference_is_the_second_less_the_first():
    """Positive where the second system is better; wins are its wins."""
    actual = compare(np.array([0.5, 0.5, 0.25, 1.0]), np.array([0.75, 0.5, 0.0, 1.25]))

    assert (actual.mean_a, actual.mean_b) == (0.5625, 0.625)
    assert actual.difference == 0.0625
    assert (actual.n_wins, actual.n_ties, actual.n_losses) == (2, 1, 1)
    assert (actual.n_queries, actual.n_left_out, actual.n_units) == (4, 0, 4)
    assert actual.low <= actual.difference <= actual.high


def test_changing_sides_changes_signs_alone():
    """Neither system is the first by nature."""
    first, second = systems(40, seed=0)

    one, other = compare(first, second), compare(second, first)

    assert one.difference == -other.difference
    assert one.p_value == other.p_value
    assert (one.n_wins, one.n_losses) == (other.n_losses, other.n_wins)


def test_few_queries_are_tested_exactly():
    """Every assignment of signs is tried, ties with the observed sum included."""
    scipy_stats = pytest.importorskip("scipy.stats")
    for seed in range(5):
        first, second = systems(9, seed)

        actual = compare(first, second).p_value

        differences = (second - first).tolist()
        assert actual == averages_by_loops.randomisation_p_value(differences)
        theirs = scipy_stats.permutation_test(
            (second - first,),
            lambda d, axis=-1: d.mean(axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert actual == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("unit", [1 / 3, 0.1, 1e-3])
def test_equally_large_differences_are_ties_of_the_sum(unit):
    """Thirds and tenths do not add up in binary; each assignment with the same sum counts all the same."""
    tenths = [1, 1, 1, 2, -1, -1, 4, -3, 9, 5]
    second = np.array([round(unit * n, 15) for n in tenths])

    actual = compare(np.zeros(10), second)

    assert actual.p_value == averages_by_loops.randomisation_p_value(tenths)


def test_a_difference_by_rounding_is_a_tie():
    """The same average precision, added up in another order."""
    actual = compare(np.array([0.1 + 0.2, 0.3]), np.array([0.3, 0.1 + 0.2]))

    assert (actual.n_wins, actual.n_ties, actual.n_losses, actual.p_value) == (0, 2, 0, 1.0)


def test_many_queries_are_tested_by_draws():
    """scipy draws others: the same to within what draws allow."""
    from scipy.stats import permutation_test

    first, second = systems(60, seed=2)

    actual = compare(first, second).p_value

    theirs = permutation_test(
        (second - first,),
        lambda d, axis=-1: d.mean(axis),
        permutation_type="samples",
        n_resamples=9999,
        vectorized=True,
        rng=1,
    )
    assert actual == pytest.approx(theirs.pvalue, abs=0.02)


def test_what_no_draw_reaches_is_no_impossibility():
    """(b + 1) / (m + 1): the observed assignment is one of those that could have been."""
    first = np.zeros(200)

    assert compare(first, first + 0.5).p_value == pytest.approx(1 / 10_000)


def test_chance_alone_is_significant_as_often_as_it_may():
    """Of a hundred pairs of equal systems about five have p below .05."""
    p_values = np.array([compare(*systems(30, seed, better=0)).p_value for seed in range(100)])

    assert 1 <= (p_values < 0.05).sum() <= 10


def test_equal_systems():
    """No difference, no width, no doubt; and no warning."""
    scores = np.random.default_rng(0).random(20)

    actual = compare(scores, scores)

    assert (actual.difference, actual.low, actual.high, actual.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert actual.n_ties == 20


def test_a_single_query_has_no_interval():
    """And whichever sign its difference has, it is as large."""
    actual = compare(np.array([0.5]), np.array([0.75]))

    assert (actual.low, actual.high, actual.p_value) == (None, None, 1.0)


def test_clusters_change_signs_together():
    """Ten copies of three queries are no more evidence than the three."""
    first, second = np.array([0.2, 0.5, 0.4]), np.array([0.3, 0.7, 0.9])
    clusters = np.repeat([7, 3, 5], 10)

    once = compare(first, second)
    copied = compare(np.repeat(first, 10), np.repeat(second, 10), clusters=clusters)
    as_if_apart = compare(np.repeat(first, 10), np.repeat(second, 10))

    assert copied.p_value == once.p_value == 0.25
    assert as_if_apart.p_value < 0.01
    assert (copied.n_units, copied.n_queries) == (3, 30)
    assert copied.high - copied.low > 2 * (as_if_apart.high - as_if_apart.low)


def test_queries_that_neither_system_can_be_scored_on_are_left_out():
    """Nothing is relevant to them."""
    actual = compare(
        Quotients(np.array([1.0, 0.0, 1.0]), np.array([2.0, 0.0, 2.0])),
        np.array([1.0, np.nan, 0.5]),
    )

    assert (actual.mean_a, actual.mean_b, actual.n_queries, actual.n_left_out) == (0.5, 0.75, 2, 1)


@pytest.mark.parametrize(
    ("a", "b", "clusters", "message"),
    [
        ([0.1, np.nan], [0.1, 0.2], None, "Query 1 has a value for one of the systems only"),
        ([0.1], [0.1, 0.2], None, "values of 1 and 2 queries"),
        ([0.1, 0.3], [0.1, 0.2], [1], "and clusters of 1"),
        ([np.nan], [np.nan], None, "None of the 1 queries has a value"),
        ([], [], None, "None of the 0 queries has a value"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, clusters, message):
    """Different ground truths would be compared as if they were systems."""
    with pytest.raises(InvalidArrayError, match=message):
        compare(
            np.array(a, float),
            np.array(b, float),
            clusters=None if clusters is None else np.array(clusters),
        )


def test_a_comparison_repeats_itself():
    """And another seed draws other signs."""
    first, second = systems(100, seed=0, better=0.02)

    assert compare(first, second) == compare(first, second)
    assert compare(first, second).p_value != compare(first, second, seed=1).p_value


@pytest.mark.parametrize(
    "p_values",
    [[], [0.03], [0.01, 0.04, 0.03], [0.5, 0.5, 0.9], [0.01, 0.01, 0.01, 1.0], [0.04, 0.001, 0.0]],
)
def test_holm_steps_down(p_values):
    """From the smallest; none is ever less than one that was smaller before, nor above 1."""
    assert holm(p_values).tolist() == pytest.approx(averages_by_loops.holm(p_values))


@pytest.mark.parametrize("p_values", [[0.5, 1.5], [-0.1], [np.nan], [[0.5]]])
def test_what_is_no_probability_is_refused(p_values):
    """A test statistic passed by mistake, for example."""
    with pytest.raises(InvalidArrayError, match="numbers between 0 and 1"):
        holm(p_values)


def test_the_interval_is_of_paired_differences():
    """Systems that are good and bad at the same queries: a mean of either alone is far less sure."""
    random = np.random.default_rng(0)
    first = random.random(400)
    second = first + random.normal(0.05, 0.02, 400)

    actual = compare(first, second)

    error = 1.96 * (second - first).std() / np.sqrt(400)
    expected = [actual.difference - error, actual.difference + error]
    assert [actual.low, actual.high] == pytest.approx(expected, abs=2e-4)
    assert error < 0.1 * 1.96 * second.std() / np.sqrt(400)
