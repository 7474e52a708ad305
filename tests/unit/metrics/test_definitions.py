"""Each metric on rankings that can be checked by hand, and where it has no value."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import positives

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.metrics.names import MetricName


def score(name, ranks):
    """Return the values of a metric as a list."""
    return MetricName.parse(name).scores(ranks).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ap@6", (1 + 2 / 3 + 3 / 6) / 4),
        ("ap@5", (1 + 2 / 3) / 4),
        ("ap@1", 1 / 4),
        ("map_at_r", (1 + 2 / 3) / 4),
        ("r_precision", 2 / 4),
        ("precision@1", 1.0),
        ("precision@6", 3 / 6),
        ("recall@3", 2 / 4),
        ("recall@6", 3 / 4),
        ("hit_rate@1", 1.0),
        ("mrr@6", 1.0),
        ("ndcg@3", (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)),
        ("knn_recall@6", 3 / 4),
    ],
)
def test_three_of_four_found(name, expected):
    """Hits at ranks 1, 3 and 6, and one relevant item that was not found."""
    actual = score(name, positives("101001", n_relevant=[4]))

    assert actual == pytest.approx([expected])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ap", (1 / 2 + 2 / 5) / 2),
        ("mrr", 1 / 2),
        ("ndcg", (1 / np.log2(3) + 1 / np.log2(6)) / (1 + 1 / np.log2(3))),
    ],
)
def test_the_complete_ranking(name, expected):
    """Hits at ranks 2 and 5 of a ranking that shows everything."""
    assert score(name, positives("01001", complete=True)) == pytest.approx([expected])


@pytest.mark.parametrize(
    "name", ["ap@2", "mrr@2", "hit_rate@2", "precision@2", "recall@2", "ndcg@2"]
)
def test_a_hit_below_the_cutoff_counts_for_nothing(name):
    """The ranking goes on, the metric does not."""
    assert score(name, positives("0011", n_relevant=[2])) == [0.0]


def test_queries_without_hits_keep_their_place():
    """Compressed rows have empty rows; a sum that skipped them would shift every later query."""
    ranks = positives("000", "100", "000", "001", "000", n_relevant=[1, 1, 2, 1, 1])

    assert score("ap@3", ranks) == pytest.approx([0, 1, 0, 1 / 3, 0])
    assert score("mrr@3", ranks) == pytest.approx([0, 1, 0, 1 / 3, 0])


def test_nothing_relevant_is_undefined_and_not_0():
    """Such a query says nothing about the ranking."""
    ranks = positives("00", "10", n_relevant=[0, 1])

    for name in ("ap@2", "map_at_r", "precision@2", "recall@2", "hit_rate@2", "mrr@2", "ndcg@2"):
        assert np.isnan(score(name, ranks)).tolist() == [True, False], name


def test_precision_divides_by_k_where_fewer_exist():
    """Two results of two are not a full page of ten."""
    assert score("precision@10", positives("11" + "0" * 8)) == [0.2]


@pytest.mark.parametrize(
    "name", ["ap@10", "precision@10", "recall@10", "hit_rate@10", "mrr@10", "ndcg@10"]
)
def test_a_cutoff_below_the_ranking_is_refused(name):
    """What was not looked at cannot be scored; the message says what to set."""
    with pytest.raises(
        UndefinedMetricError, match=f"{name} needs 10 ranks but the ranking has 5. Set k = 10"
    ):
        score(name, positives("10000"))


def test_a_cutoff_of_exactly_the_ranking_is_enough():
    """One more is not."""
    assert score("precision@5", positives("10000")) == [0.2]
    with pytest.raises(UndefinedMetricError, match="needs 6 ranks but the ranking has 5"):
        score("precision@6", positives("10000"))


@pytest.mark.parametrize("name", ["ap", "mrr", "ndcg"])
def test_a_cut_ranking_has_no_complete_metric(name):
    """Found ranks alone would give a number, and a wrong one."""
    with pytest.raises(UndefinedMetricError, match=f"exact search only. Use {name}@5"):
        score(name, positives("10000"))


@pytest.mark.parametrize("name", ["map_at_r", "r_precision"])
def test_fewer_ranks_than_relevant_items_are_refused(name):
    """A value from the ranks at hand would be too low for one query, without any sign of it."""
    with pytest.raises(UndefinedMetricError, match="R = 7 here, but the ranking has 5") as caught:
        score(name, positives("10000", "10000", n_relevant=[2, 7]))

    assert "k = 7" in str(caught.value)


@pytest.mark.parametrize("name", ["map_at_r", "r_precision"])
def test_as_many_ranks_as_relevant_items_are_enough(name):
    """The limit itself is inside."""
    assert score(name, positives("11111")) == [1.0]


def test_no_queries_are_no_values():
    """A block of queries may be empty."""
    ranks = positives(n_relevant=[], complete=True)

    for name in ("ap", "map_at_r", "precision@2", "ndcg", "ndcg@3", "mrr"):
        assert score(name, ranks) == []
