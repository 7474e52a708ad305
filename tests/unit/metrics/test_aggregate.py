"""From ranks to averages: every metric that was asked for has a value, or a reason why not."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered, positives

from cbir_bench.core.errors import UnknownNameError
from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities


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
        classes=np.arange(20) % 4,
        neighbours=exact.found(exact.ids),
    )

    assert [value.mean for value in values.values()] == [0.0, 1.0, 1.0]
    assert [value.n_classes for value in values.values()] == [4, 4, 4]
    assert values["recall@5"].weighted.value == 0.0
    assert values["knn_recall@5"].weighted is None  # neighbours have no R to weigh with


def test_classes_and_clusters_reach_the_averages():
    """Two queries of one class, one of another, in one cluster of all."""
    values, _ = evaluate(
        ["hit_rate@1"],
        positives("10", "10", "01"),
        classes=np.array([0, 0, 1]),
        clusters=np.zeros(3, int),
    )

    actual = values["hit_rate@1"]
    assert actual.by_class.value == 0.5
    assert (actual.low, actual.high) == (None, None)
    assert (actual.n_queries, actual.n_classes) == (3, 2)


def test_an_unknown_name_is_an_error_and_no_reason():
    """It can only be a mistake in the call."""
    with pytest.raises(UnknownNameError):
        evaluate(["map@10"], positives("10"))


def test_names_may_be_values():
    """Code that has parsed them need not print them again."""
    assert list(evaluate([MetricName("ap", 1)], positives("10")).values) == ["ap@1"]
