"""What other tools get wrong or define otherwise, each with its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered, full_base, positives, query_set

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.complete import complete_quotients, complete_ranks
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities


def score(name, ranks):
    """Return the value of a metric for the only query."""
    return MetricName.parse(name).scores(ranks).item()


def test_average_precision_has_three_divisors():
    """Hits at ranks 1, 3 and 6 of R = 4: by R .417; by min(k, R), Google Landmarks', more where k < R.

    By the two hits found it would be .833, which rewards returning less.
    """
    hits_at_1_3_6 = positives("101001", n_relevant=[4])

    by_r, by_min, by_found = (1 + 2 / 3) / 4, (1 + 2 / 3) / 3, (1 + 2 / 3) / 2
    assert score("ap@5", hits_at_1_3_6) == pytest.approx(by_r)
    assert score("ap_min@5", hits_at_1_3_6) == pytest.approx(by_r)
    assert score("ap@3", hits_at_1_3_6) == pytest.approx(by_r)
    assert score("ap_min@3", hits_at_1_3_6) == pytest.approx(by_min)
    assert by_found == pytest.approx(0.833, abs=5e-4)


@pytest.mark.parametrize("name", ["map_at_r", "r_precision"])
def test_fewer_than_r_results_have_no_map_at_r(name):
    """Summed over the three results at hand, it would be lower for queries with larger classes alone."""
    with pytest.raises(UndefinedMetricError, match="up to R = 4 here, but the ranking has 3"):
        score(name, positives("110", n_relevant=[4]))


def graded_by_lists(items, gains, ids):
    """Return the ranks of results ``ids`` against judged items with gains, in a base of five."""
    lists = ItemLists.of(items, gains)
    places, found = lists.find(np.array(ids))
    values = np.where(found, lists.gains[places], 0.0)
    return PositiveRanks.from_hits(
        found, lists.counts, gains=values, grades=Grades.of(lists, highest=3.0)
    )


def test_returning_less_is_never_rewarded():
    """Dropping the last hits of a ranking cannot raise ap@k."""
    all_of_it = score("ap@6", positives("100001", n_relevant=[2]))
    only_the_start = score("ap@6", positives("100000", n_relevant=[2]))

    assert only_the_start < all_of_it


def test_oxfords_average_precision_is_a_trapezoid():
    """.508 where average precision is .542: one name for both would mix them in one table."""
    ranks = positives("101001", n_relevant=[4])

    assert score("ap@6", ranks) == pytest.approx(0.542, abs=5e-4)
    assert score("oxford_ap@6", ranks) == pytest.approx(0.508, abs=5e-4)


def test_precision_has_three_divisors():
    """One hit at rank 2 and no more to find: by k 1/10; by the last hit's rank 1/2; by min(k, R) 1."""
    ranks = positives("01" + "0" * 8)

    assert score("precision@10", ranks) == pytest.approx(1 / 10)
    assert score("oxford_precision@10", ranks) == pytest.approx(1 / 2)
    assert score("recall@10", ranks) == 1.0


def test_hit_rate_is_what_metric_learning_calls_recall():
    """One of four relevant items in the first place: hit rate 1, recall 1/4."""
    ranks = positives("1000", n_relevant=[4])

    assert (score("hit_rate@1", ranks), score("recall@1", ranks)) == (1.0, 0.25)


def test_a_constant_added_to_all_similarities_changes_nothing():
    """Negative similarities are results like others; taken for "not retrieved", an AP of .722 becomes 0."""
    vectors, labels = clustered(40, 4, 5, seed=0)
    shifted = np.hstack([vectors, np.full((40, 1), 8.0, np.float32)])
    against = np.hstack([vectors, np.full((40, 1), -8.0, np.float32)])
    truth = query_set(labels, labels)
    plain = Similarities(queries=vectors, base=vectors, space="ip")
    below_0 = Similarities(queries=shifted, base=against, space="ip")
    assert (shifted @ against.T).max() < 0

    names = ["ap", "r_precision", "mrr", "ndcg", "oxford_ap"]
    expected, actual = (complete_quotients(names, one, truth) for one in (plain, below_0))

    for name in names:
        np.testing.assert_array_equal(actual[name].scores, expected[name].scores)


def test_ties_go_by_id_ascending():
    """Neither insertion order, nor id descending, nor a group's mean."""
    vectors = np.ones((6, 3), np.float32)
    truth = query_set(["a"], ["b", "a", "b", "a", "b", "b"])

    actual = complete_ranks(Similarities(queries=vectors[:1], base=vectors, space="ip"), truth)

    assert actual.ranks.tolist() == [2, 4]


def test_coincidental_float32_ties_are_told_apart():
    """1 + 2**-24 rounds to 1 in float32, yet the second item is more similar than the first."""
    query = np.array([[1.0, 2.0**-24]], np.float32)
    base = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    truth = query_set(["a"], ["b", "a"])
    assert (query @ base.T)[0].tolist() == [1.0, 1.0]

    actual = complete_ranks(Similarities(queries=query, base=base, space="ip"), truth)

    assert actual.ranks.tolist() == [1]


def test_queries_with_nothing_relevant_are_left_out_and_counted():
    """Counted as 0 they would lower the mean from 1 to 1/2."""
    actual = evaluate(["ap@2"], positives("10", "00", n_relevant=[1, 0])).values["ap@2"]

    assert (actual.mean, actual.n_queries, actual.n_left_out) == (1.0, 1, 1)
    assert actual.micro.value == actual.weighted.value == 1.0


def test_classes_of_one_item_are_left_out_of_complete_rankings_too():
    """Leave-one-out leaves them nothing to find, which is not the ranking's fault."""
    vectors, labels = clustered(60, 8, 6, seed=0)
    labels[:13] = [f"alone {i}" for i in range(13)]
    truth = full_base(labels)

    quotients = complete_quotients(["ap"], Similarities.of(vectors, truth, "l2"), truth)
    actual = evaluate(
        ["ap"], positives(*["0"] * 60, n_relevant=truth.n_relevant), complete=quotients
    )

    value = actual.values["ap"]
    assert (value.n_queries, value.n_left_out) == (47, 13)
    assert value.mean == pytest.approx(np.nansum(actual.scores["ap"]) / 47)


@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
def test_the_query_is_left_out_by_its_id(space):
    """With exact duplicates the first result need not be the query: its twin is a hit at rank 1."""
    vectors = np.repeat(unit_rows(clustered(5, 8, 5, seed=3)[0]), 2, axis=0)
    truth = full_base([f"pair {i // 2}" for i in range(10)])

    actual = complete_ranks(Similarities.of(vectors, truth, space), truth)

    assert actual.ranks.tolist() == [1] * 10


@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
def test_neither_blocks_nor_shapes_change_a_rank(space):
    """A vector-matrix and a matrix-matrix product differ in the last bit for most entries."""
    vectors, labels = clustered(300, 48, 3, seed=1)
    vectors = np.repeat(vectors[:150], 2, axis=0)  # with duplicates, where the last bit decides
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, space)

    together = complete_ranks(similarities, truth)

    for memory_bytes in (1, 30_000, 100_000):
        actual = complete_ranks(similarities, truth, memory_bytes=memory_bytes)
        np.testing.assert_array_equal(actual.ranks, together.ranks)


def test_the_ideal_of_ndcg_is_over_all_relevant_items():
    """Over the list alone, a list of .469 would score 1."""
    actual = score("ndcg@3", positives("100", n_relevant=[3]))

    assert actual == pytest.approx(1 / (1 + 1 / np.log2(3) + 1 / 2))


@pytest.mark.parametrize("name", ["ndcg@2", "ndcg_exp@2"])
def test_the_ideal_of_graded_gains_is_over_all_relevant_items(name):
    """The item of gain 3 was not found: a list of gain 1 alone is far from ideal."""
    found = graded_by_lists([[1, 2]], [[1.0, 3.0]], ids=[[1, 0]])

    assert score(name, found) < 1 / 2


def test_linear_and_exponential_gain_have_their_own_names():
    """ "nDCG" means gain in trec_eval and 2^gain - 1 in ranx's Burges variant; gains of 1 hide which."""
    lists = [[1, 2, 3]], [[1.0, 2.0, 3.0]]
    found = graded_by_lists(*lists, ids=[[1, 3, 2]])

    linear = (1 + 3 / np.log2(3) + 2 / 2) / (3 + 2 / np.log2(3) + 1 / 2)
    exponential = (1 + 7 / np.log2(3) + 3 / 2) / (7 + 3 / np.log2(3) + 1 / 2)
    assert score("ndcg@3", found) == pytest.approx(linear)
    assert score("ndcg_exp@3", found) == pytest.approx(exponential)


@pytest.mark.parametrize("name", ["ndcg@3", "ndcg_exp@3", "err@3"])
def test_gains_below_1_are_gains(name):
    """Overlaps of labels lie between 0 and 1: neither an error nor cast to whole numbers, which are 0."""
    small = graded_by_lists([[1, 2]], [[0.25, 0.5]], ids=[[1, 2, 3]])

    assert 0 < score(name, small) < 1
    if name == "ndcg@3":
        assert score(name, small) == pytest.approx(
            (0.25 + 0.5 / np.log2(3)) / (0.5 + 0.25 / np.log2(3))
        )


def test_satisfaction_is_relative_to_the_highest_gain_that_could_be():
    """Not to the highest that was found or judged for a query: gain 1 of 3 satisfies one in eight."""
    found = graded_by_lists([[1]], [[1.0]], ids=[[1, 2]])

    assert score("err@2", found) == pytest.approx(1 / 8)


@pytest.mark.parametrize("name", ["ndcg@3", "ndcg_exp@3"])
def test_the_order_of_judgements_does_not_matter(name):
    """An ideal taken in the order of the file gives an nDCG of 1.255."""
    one = graded_by_lists([[1, 2, 3]], [[0.5, 3.0, 1.0]], ids=[[2, 3, 1]])
    other = graded_by_lists([[3, 2, 1]], [[1.0, 3.0, 0.5]], ids=[[2, 3, 1]])

    assert score(name, one) == score(name, other) == 1.0


def test_a_reversed_list_is_worse():
    """An ideal taken from the list in its own order would give 1 to both."""
    assert score("ndcg@4", positives("0011")) < score("ndcg@4", positives("1100")) == 1.0


@pytest.mark.parametrize("names", [["ap", "map_at_r", "r_precision", "mrr", "ndcg", "oxford_ap"]])
def test_a_reversed_complete_ranking_is_worse(names):
    """From vectors: every metric knows which end is up."""
    vectors, labels = clustered(50, 6, 5, seed=4, noise=0.3)
    truth = query_set(labels[:10], labels[10:])
    nearest = Similarities.of(vectors, truth, "ip")
    furthest = Similarities(queries=-nearest.queries, base=nearest.base, space="ip")

    right, reversed_ = (complete_quotients(names, one, truth) for one in (nearest, furthest))

    for name in names:
        assert np.nanmean(reversed_[name].scores) < np.nanmean(right[name].scores) / 2


def test_the_query_is_removed_before_average_precision_is_computed():
    """With the query itself for a first hit, a ranking with the one right item last would score 2/3."""
    truth = full_base(["a", "b", "a"])

    actual = truth.positives(np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]]))

    assert actual.ranks.tolist() == [2, 2]
    assert MetricName("ap").scores(actual)[[0, 2]].tolist() == [1 / 2, 1 / 2]


def test_labels_are_never_cast_to_float32():
    """2**24 and 2**24 + 1 are two classes."""
    truth = query_set([str(2**24)], [str(2**24), str(2**24 + 1)])

    assert truth.hits(np.array([[0, 1]])).tolist() == [[True, False]]
    assert truth.n_relevant.tolist() == [1]
    vectors = np.array([[0.0], [2.0], [1.0]], np.float32)
    complete = complete_quotients(["ap"], Similarities.of(vectors, truth, "l2"), truth)
    assert complete["ap"].scores.tolist() == [1 / 2]


def test_the_neighbours_of_a_tight_class_are_not_interchangeable():
    """An absolute tolerance of 1e-3 would call every other item of a tight class right."""
    random = np.random.default_rng(0)
    centre = random.standard_normal((20, 64))
    tight = np.repeat(centre, 50, axis=0) + 1e-2 * random.standard_normal((1000, 64))
    truth = full_base([str(i // 50) for i in range(1000)])
    exact = exact_neighbours(
        Similarities.of(tight.astype(np.float32), truth, "cosine"), truth.self_ids, 49
    )
    wrong = exact.ids[:, 10:20]

    recall = MetricName("knn_recall", 10).scores(exact.found(wrong).positives(10))

    assert recall.mean() < 0.03


@pytest.mark.parametrize("name", ["ndcg_exp@2", "err@2"])
def test_powers_of_gains_beyond_numbers_have_no_value(name):
    """2^2000 is infinite, and infinity divided by itself would be written as a value."""
    gains = np.array([[1.0, 2000.0]])
    grades = Grades.of(ItemLists.of([[0, 1]], [[1.0, 2000.0]]), highest=2000.0)
    found = PositiveRanks.from_hits(gains > 0, np.array([2]), gains=gains, grades=grades)

    values, _ = evaluate([name, "ndcg@2"], found)

    assert "the highest is 2000" in values[name].undefined
    assert values["ndcg@2"].mean == pytest.approx(0.631, abs=1e-3)
