"""Averages say how many queries they are over, what was left out, and how sure they are."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered, positives

from cbir_bench.core.errors import UnknownNameError
from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.aggregate import average, evaluate
from cbir_bench.metrics.bootstrap import mean_intervals
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities


def test_the_mean_is_over_queries_that_have_something_to_find():
    """A query with many relevant items counts as much as one with few."""
    scores = np.array([1.0, np.nan, 0.5, 0.0])

    actual = average({"ap@2": scores})["ap@2"]

    assert (actual.mean, actual.n_queries, actual.n_left_out) == (0.5, 3, 1)
    assert actual.low <= actual.mean <= actual.high
    assert actual.undefined == ""


def test_no_query_with_anything_to_find_has_no_mean():
    """None, with a reason: neither 0 nor NaN."""
    actual = average({"ap@2": np.full(3, np.nan)})["ap@2"]

    assert (actual.mean, actual.low, actual.n_left_out) == (None, None, 3)
    assert "anything to find" in actual.undefined


def test_a_single_query_has_no_interval():
    """One value says nothing about its spread."""
    actual = average({"ap@2": np.array([0.25, np.nan])})["ap@2"]

    assert (actual.mean, actual.low, actual.high) == (0.25, None, None)


def test_metrics_left_out_for_different_queries_keep_apart():
    """A query without labels to find can have neighbours to find."""
    scores = {"ap@2": np.array([np.nan, 1.0, 0.0]), "knn_recall@2": np.array([1.0, 1.0, 0.25])}

    actual = average(scores)

    assert list(actual) == ["ap@2", "knn_recall@2"]
    assert (actual["ap@2"].mean, actual["ap@2"].n_left_out) == (0.5, 1)
    assert (actual["knn_recall@2"].mean, actual["knn_recall@2"].n_left_out) == (0.75, 0)


def test_a_value_does_not_depend_on_what_else_is_asked_for():
    """Records with and without another metric agree to the last bit."""
    random = np.random.default_rng(0)
    scores = {name: random.random(1001) for name in ("ap@2", "mrr@2", "ndcg@2")}

    together = average(scores)

    assert {name: average({name: column})[name] for name, column in scores.items()} == together


def test_reasons_take_the_place_of_values():
    """One metric that cannot be had does not lose the others."""
    values, scores = evaluate(["ap", "ap@2", "knn_recall@2"], positives("10", "01"))

    assert list(values) == ["ap", "ap@2", "knn_recall@2"]
    assert values["ap"].mean is None
    assert "exact search only" in values["ap"].undefined
    assert "exact neighbours" in values["knn_recall@2"].undefined
    assert values["ap@2"].mean == 0.75
    assert list(scores) == ["ap@2"]


def test_complete_scores_stand_in_where_the_ranking_is_cut():
    """Exact search has an `ap`; what the ranking itself gives is never replaced."""
    ones = np.ones(2)
    complete = {"ap": Quotients(np.array([0.5, 0.7]), ones), "ap@2": Quotients(np.zeros(2), ones)}

    values, scores = evaluate(["ap", "ap@2"], positives("10", "01"), complete=complete)

    assert values["ap"].mean == pytest.approx(0.6)
    assert values["ap@2"].mean == 0.75
    assert list(scores) == ["ap", "ap@2"]


def test_neighbours_are_scored_by_neighbours():
    """knn_recall knows no labels: wrong ones, perfect neighbours."""
    vectors = clustered(20, 4, 3, seed=0)[0]
    similarities = Similarities(queries=vectors, base=vectors, space="l2")
    exact = exact_neighbours(similarities, np.arange(20), 5)

    values, _ = evaluate(
        ["recall@5", "knn_recall@5", "knn_recall@3"],
        positives(*["00000"] * 20, n_relevant=[1] * 20),
        neighbours=exact.found(exact.ids),
    )

    assert [value.mean for value in values.values()] == [0.0, 1.0, 1.0]


def test_an_unknown_name_is_an_error_and_no_reason():
    """It can only be a mistake in the call."""
    with pytest.raises(UnknownNameError):
        evaluate(["map@10"], positives("10"))


def test_the_interval_is_that_of_the_textbook():
    """For many queries, mean -+ 1.96 standard errors."""
    random = np.random.default_rng(0)
    scores = random.random((1, 2000))

    low, high = mean_intervals(scores, n_resamples=4000)

    error = 1.96 * scores.std() / np.sqrt(2000)
    assert [low[0], high[0]] == pytest.approx(
        [scores.mean() - error, scores.mean() + error], abs=6e-4
    )


def test_the_interval_covers_as_often_as_it_says():
    """In 95 of 100 samples of 100 queries it holds the true mean."""
    random = np.random.default_rng(0)
    samples = (random.random((400, 100)) < 0.3).astype(float)

    low, high = mean_intervals(samples)

    covered = ((low <= 0.3) & (high >= 0.3)).mean()
    assert 0.91 < covered < 0.98


def test_the_interval_repeats_itself_and_depends_on_the_seed():
    """Quality is identical on every run."""
    scores = np.random.default_rng(0).random((2, 50))

    first, again = mean_intervals(scores, seed=1), mean_intervals(scores, seed=1)
    other = mean_intervals(scores, seed=2)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_many_queries_are_drawn_in_blocks_all_the_same(monkeypatch):
    """Blocks of draws bound the memory and change no count."""
    scores = np.random.default_rng(0).random((1, 300))
    kept = mean_intervals(scores, seed=3)
    monkeypatch.setattr("cbir_bench.metrics.bootstrap._DRAWS_KEPT", 0)

    assert np.array_equal(mean_intervals(scores, seed=3), kept)


@pytest.mark.parametrize("value", [1 / 3, 2 / 3])
def test_equal_scores_have_an_interval_of_no_width(value):
    """Rounding, down or up, must not put the mean outside of its own interval."""
    scores = np.full((1, 10), value)

    low, high = mean_intervals(scores)

    assert low[0] <= scores.mean() <= high[0]
    assert high[0] - low[0] < 1e-9


def test_names_may_be_values():
    """Code that has parsed them need not print them again."""
    assert list(evaluate([MetricName("ap", 1)], positives("10")).values) == ["ap@1"]
