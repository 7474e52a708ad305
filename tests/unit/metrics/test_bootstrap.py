"""Intervals: those of other tools and of the textbook, repeatable to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import averages_by_loops

from cbir_bench.metrics.bootstrap import _acceleration, exactly_summable, ratio_intervals


def means(scores, **options):
    """Return the intervals of the means of rows."""
    return ratio_intervals(scores, np.ones_like(scores), **options)


def skewed(n, seed):
    """Return ``n`` numerators and denominators of queries of very different size."""
    random = np.random.default_rng(seed)
    denominators = random.geometric(0.1, n).astype(float)
    return random.binomial(denominators.astype(int), random.beta(0.5, 2, n)).astype(
        float
    ), denominators


def test_scipy_agrees_on_means():
    """Its own BCa; what differs are the draws."""
    from scipy.stats import bootstrap

    scores = np.random.default_rng(1).beta(0.5, 2, 60)

    low, high = means(scores[None], n_resamples=20_000)

    theirs = bootstrap((scores,), np.mean, n_resamples=20_000, rng=2).confidence_interval
    assert [low[0], high[0]] == pytest.approx(list(theirs), abs=0.002)


def test_scipy_agrees_on_quotients_of_sums():
    """Micro averages: numerator and denominator of a query are drawn together."""
    from scipy.stats import bootstrap

    pair = skewed(60, seed=3)

    def micro(numerator, denominator, axis=-1):
        return numerator.sum(axis) / denominator.sum(axis)

    low, high = ratio_intervals(pair[0][None], pair[1][None], n_resamples=20_000)

    theirs = bootstrap(
        pair, micro, paired=True, n_resamples=20_000, rng=2, vectorized=True
    ).confidence_interval
    assert [low[0], high[0]] == pytest.approx(list(theirs), abs=0.003)


def test_the_bias_and_the_skew_move_the_interval():
    """The plain percentiles of a skewed mean are too low; BCa corrects them upwards."""
    scores = np.zeros((1, 50))
    scores[0, :3] = 1.0

    low, high = means(scores, n_resamples=20_000)

    drawn = np.random.default_rng(0).binomial(50, 3 / 50, 20_000) / 50
    percentiles = np.percentile(drawn, [2.5, 97.5])
    assert low[0] > percentiles[0]
    assert high[0] > percentiles[1]


def test_the_acceleration_is_that_of_the_jackknife():
    """In closed form, and by leaving out one unit after the other."""
    numerators, denominators = skewed(25, seed=0)

    actual = _acceleration(numerators[None], denominators[None])

    assert actual[0] == pytest.approx(
        averages_by_loops.jackknife_acceleration(numerators.tolist(), denominators.tolist())
    )


@pytest.mark.parametrize("n_units", [2, 10, 1000])
def test_a_single_odd_unit_accelerates_by_a_sixth_at_most(n_units):
    """So that no data can turn the correction around."""
    scores = np.zeros((1, n_units))
    scores[0, 0] = 1.0

    actual = _acceleration(scores, np.ones_like(scores))

    assert abs(actual[0]) <= 1 / 6
    assert np.isfinite(means(scores)).all()


def test_the_interval_is_that_of_the_textbook():
    """For many queries, mean -+ 1.96 standard errors."""
    scores = np.random.default_rng(0).random((1, 2000))

    low, high = means(scores, n_resamples=4000)

    error = 1.96 * scores.std() / np.sqrt(2000)
    assert [low[0], high[0]] == pytest.approx(
        [scores.mean() - error, scores.mean() + error], abs=1e-3
    )


def test_the_interval_covers_as_often_as_it_says():
    """In 95 of 100 samples of 100 queries it holds the true mean."""
    samples = (np.random.default_rng(0).random((400, 100)) < 0.3).astype(float)

    low, high = means(samples)

    covered = ((low <= 0.3) & (high >= 0.3)).mean()
    assert 0.91 < covered < 0.98


def test_the_interval_repeats_itself_and_depends_on_the_seed():
    """Quality is identical on every run."""
    scores = np.random.default_rng(0).random((2, 50))

    first, again = means(scores, seed=1), means(scores, seed=1)
    other = means(scores, seed=2)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_do_not_know_each_other():
    """To the last bit, for any number of rows and any order of units in the matrix product."""
    scores = np.random.default_rng(0).random((9, 777))

    together = means(scores)

    for row in range(9):
        alone = means(scores[row : row + 1])
        assert (alone.low[0], alone.high[0]) == (together.low[row], together.high[row])


def test_many_units_are_drawn_in_blocks_all_the_same(monkeypatch):
    """Blocks of draws bound the memory and change no count."""
    scores = np.random.default_rng(0).random((1, 300))
    kept = means(scores, seed=3)
    monkeypatch.setattr("cbir_bench.metrics.bootstrap._DRAWS_KEPT", 0)

    assert np.array_equal(means(scores, seed=3), kept)


@pytest.mark.parametrize("value", [0.0, 1 / 3, 2 / 3, 1.0])
@pytest.mark.parametrize("n_units", [1, 2, 10])
def test_equal_scores_have_an_interval_of_no_width(value, n_units):
    """Neither NaN nor a warning, where there is nothing to divide by."""
    scores = np.full((1, n_units), value)

    low, high = means(scores)

    assert low[0] == high[0] == pytest.approx(value, abs=1e-15)


def test_an_interval_holds_its_average():
    """However skewed: a number outside of its own interval would be believed by nobody."""
    random = np.random.default_rng(0)
    scores = np.where(random.random((300, 8)) < 0.15, random.random((300, 8)), 0.0)

    low, high = means(scores)

    assert (low <= scores.mean(axis=1) + 1e-15).all()
    assert (high >= scores.mean(axis=1) - 1e-15).all()
    assert (low >= 0).all()
    assert (high <= 1).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_sums_of_rounded_values_are_not_rounded_again(scale):
    """Any order of adding gives the same bits; so threads and blocks cannot matter."""
    random = np.random.default_rng(0)
    values = scale * random.standard_normal((1, 10_000))

    rounded = exactly_summable(values)[0]

    sums = {float(rounded[random.permutation(10_000)].sum()) for _ in range(20)}
    assert len(sums) == 1
    np.testing.assert_allclose(rounded, values[0], atol=1e-10 * scale)
