"""Each metric on rankings that can be checked by hand, and where it has no value."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import positives

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.metrics.names import MetricName


def graded():
    """Return a ranking of items of gain 1, 0 and 3; one more of gain 2 was not found."""
    gains = np.array([[1.0, 0.0, 3.0]])
    grades = Grades(values=np.array([3.0, 2.0, 1.0]), starts=np.array([0, 3]), highest=3.0)
    return PositiveRanks.from_hits(gains > 0, np.array([3]), gains=gains, grades=grades)


def score(name, ranks):
    """Return the values of a metric as a list."""
    return MetricName.parse(name).scores(ranks).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ap@6", (1 + 2 / 3 + 3 / 6) / 4),
        ("ap@5", (1 + 2 / 3) / 4),
        ("ap@1", 1 / 4),
        ("ap_min@6", (1 + 2 / 3 + 3 / 6) / 4),
        ("ap_min@3", (1 + 2 / 3) / 3),
        ("oxford_ap@6", (1 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 4),
        ("oxford_ap@1", 1 / 4),
        ("oxford_precision@6", 3 / 6),
        ("err@6", 1 / 2 + 1 / 4 / 3 + 1 / 8 / 6),
        ("err@2", 1 / 2),
        ("map_at_r", (1 + 2 / 3) / 4),
        ("r_precision", 2 / 4),
        ("precision@1", 1.0),
        ("precision@6", 3 / 6),
        ("recall@3", 2 / 4),
        ("recall@6", 3 / 4),
        ("hit_rate@1", 1.0),
        ("mrr@6", 1.0),
        ("ndcg@3", (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)),
        ("ndcg_exp@3", (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)),
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
        ("err", 1 / 2 / 2 + 1 / 4 / 5),
        ("minp", 2 / 5),
        ("oxford_ap", ((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2),
        ("oxford_precision@5", 2 / 5),
        ("ap_11pt", (6 * 1 / 2 + 5 * 2 / 5) / 11),
        ("ap_101pt", (51 * 1 / 2 + 50 * 2 / 5) / 101),
    ],
)
def test_the_complete_ranking(name, expected):
    """Hits at ranks 2 and 5 of a ranking that shows everything."""
    assert score(name, positives("01001", complete=True)) == pytest.approx([expected])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg@3", (1 + 3 / 2) / (3 + 2 / np.log2(3) + 1 / 2)),
        ("ndcg@1", 1 / 3),
        ("ndcg_exp@3", (1 + 7 / 2) / (7 + 3 / np.log2(3) + 1 / 2)),
        ("ndcg_exp@1", 1 / 7),
        ("err@3", 1 / 8 + 7 / 8 * 7 / 8 / 3),
        ("err@1", 1 / 8),
        ("precision@3", 2 / 3),
        ("ap@3", (1 + 2 / 3) / 3),
    ],
)
def test_gains_from_1_to_3(name, expected):
    """Satisfaction of the highest gain is 7/8; to what is binary, any gain is as good as another."""
    assert score(name, graded()) == pytest.approx([expected])


@pytest.mark.parametrize(
    "name", ["ap@2", "mrr@2", "hit_rate@2", "precision@2", "recall@2", "ndcg@2", "err@2"]
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


def test_three_of_ten_reach_a_recall_of_three_tenths():
    """In floating point the third of eleven levels is .30000000000000004; whole numbers know better."""
    ranks = positives("111" + "0" * 90 + "1" * 7, complete=True)

    at_the_end = 10 / 100
    assert score("ap_11pt", ranks) == pytest.approx([(4 * 1 + 7 * at_the_end) / 11])


def test_a_relevant_item_without_a_rank_is_the_last_of_all():
    """A list that claims to be complete and is not: nothing is as good as finding the item somewhere."""
    ranks = positives("1100", n_relevant=[3], complete=True)

    assert score("minp", ranks) == [0.0]
    assert score("ap_11pt", ranks) == pytest.approx([7 / 11])
    assert score("oxford_precision@3", ranks) == pytest.approx([2 / 3])


def test_all_found_early_caps_the_divisor_of_the_revisited_benchmarks_alone():
    """Two of two relevant items in the first two of five."""
    ranks = positives("11000")

    assert score("oxford_precision@5", ranks) == [1.0]
    assert score("precision@5", ranks) == [0.4]


def test_precision_divides_by_k_where_fewer_exist():
    """Two results of two are not a full page of ten."""
    assert score("precision@10", positives("11" + "0" * 8)) == [0.2]


@pytest.mark.parametrize(
    "name",
    [
        "ap@10",
        "ap_min@10",
        "precision@10",
        "recall@10",
        "hit_rate@10",
        "mrr@10",
        "ndcg@10",
        "ndcg_exp@10",
        "err@10",
        "oxford_ap@10",
        "oxford_precision@10",
    ],
)
def test_a_cutoff_below_the_ranking_is_refused(name):
    """What was not looked at cannot be scored; the message says what to set."""
    with pytest.raises(
        UndefinedMetricError,
        match=f"{name} needs 10 ranks but the ranking has 5. Retrieve k = 10 or more",
    ):
        score(name, positives("10000"))


def test_a_cutoff_of_exactly_the_ranking_is_enough():
    """One more is not."""
    assert score("precision@5", positives("10000")) == [0.2]
    with pytest.raises(UndefinedMetricError, match="needs 6 ranks but the ranking has 5"):
        score("precision@6", positives("10000"))


@pytest.mark.parametrize("name", ["ap", "mrr", "ndcg", "ndcg_exp", "err", "oxford_ap"])
def test_a_cut_ranking_has_no_complete_metric(name):
    """Found ranks alone would give a number, and a wrong one."""
    with pytest.raises(UndefinedMetricError, match=f"exact search only. Use {name}@5"):
        score(name, positives("10000"))


@pytest.mark.parametrize("name", ["minp", "ap_11pt", "ap_101pt"])
def test_what_takes_no_cutoff_suggests_a_metric_that_does(name):
    """`minp@5` would not parse."""
    with pytest.raises(UndefinedMetricError, match=r"exact search only\. Use ap@5"):
        score(name, positives("10000"))


def test_junk_is_named_where_it_made_the_ranking_too_shallow():
    """Whoever retrieved ten results wonders why there are eight; ten more junk-free ones are wanted."""
    hits = np.zeros((2, 10), bool)
    removed = np.zeros((2, 10), bool)
    removed[1, [0, 5]] = True
    ranks = PositiveRanks.from_hits(hits, np.array([1, 9]), removed=removed)

    with pytest.raises(
        UndefinedMetricError,
        match=r"needs 10 ranks but the ranking has 8 after junk and the query itself were removed\. "
        "Retrieve k = 12 or more results",
    ):
        score("ap@10", ranks)
    with pytest.raises(UndefinedMetricError, match="up to R = 9 here, but the ranking has 8 after"):
        score("r_precision", ranks)
    assert score("ap@8", ranks) == [0.0, 0.0]


def test_nothing_left_after_junk_suggests_no_cutoff_of_0():
    """ap@0 is no metric."""
    everything = np.ones((1, 3), bool)
    ranks = PositiveRanks.from_hits(~everything, np.array([4]), removed=everything)

    for name in ("ap", "map_at_r"):
        with pytest.raises(UndefinedMetricError) as caught:
            score(name, ranks)
        assert "@0" not in str(caught.value)


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

    for name in (
        "ap",
        "map_at_r",
        "precision@2",
        "ndcg",
        "ndcg@3",
        "mrr",
        "minp",
        "err",
        "ap_11pt",
    ):
        assert score(name, ranks) == []
