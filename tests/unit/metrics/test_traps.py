"""What other tools get wrong or define otherwise, each with its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered, full_base, positives, query_set

from cbir_bench.core.arrays import unit_rows
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.complete import complete_ranks
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities


def score(name, ranks):
    """Return the value of a metric for the only query."""
    return MetricName.parse(name).scores(ranks).item()


def test_average_precision_divides_by_all_relevant_items():
    """By R .417; by the two hits found .833, which would reward returning less."""
    hits_at_1_3_6 = positives("101001", n_relevant=[4])

    assert score("ap@5", hits_at_1_3_6) == pytest.approx((1 + 2 / 3) / 4)


def test_returning_less_is_never_rewarded():
    """Dropping the last hits of a ranking cannot raise ap@k."""
    all_of_it = score("ap@6", positives("100001", n_relevant=[2]))
    only_the_start = score("ap@6", positives("100000", n_relevant=[2]))

    assert only_the_start < all_of_it


def test_average_precision_is_no_trapezoid():
    """Oxford's trapezoid gives .508 where average precision gives .542."""
    assert score("ap@6", positives("101001", n_relevant=[4])) == pytest.approx(0.542, abs=5e-4)


def test_precision_divides_by_k_alone():
    """Neither by the last hit's rank (1/2) nor by min(k, R) (1)."""
    assert score("precision@10", positives("01" + "0" * 8)) == pytest.approx(0.1)


def test_hit_rate_is_what_metric_learning_calls_recall():
    """One of four relevant items in the first place: hit rate 1, recall 1/4."""
    ranks = positives("1000", n_relevant=[4])

    assert (score("hit_rate@1", ranks), score("recall@1", ranks)) == (1.0, 0.25)


def test_a_constant_added_to_all_similarities_changes_nothing():
    """Negative similarities are results like others."""
    vectors, labels = clustered(40, 4, 5, seed=0)
    shifted = np.hstack([vectors, np.full((40, 1), 3.0, np.float32)])
    against = np.hstack([vectors, np.full((40, 1), -3.0, np.float32)])
    truth = query_set(labels, labels)

    plain = complete_ranks(Similarities(queries=vectors, base=vectors, space="ip"), truth)
    below_0 = complete_ranks(Similarities(queries=shifted, base=against, space="ip"), truth)

    np.testing.assert_array_equal(below_0.ranks, plain.ranks)


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

    for block_bytes in (1, 30_000, 100_000):
        actual = complete_ranks(similarities, truth, block_bytes=block_bytes)
        np.testing.assert_array_equal(actual.ranks, together.ranks)


def test_the_ideal_of_ndcg_is_over_all_relevant_items():
    """Over the list alone, a list of .469 would score 1."""
    actual = score("ndcg@3", positives("100", n_relevant=[3]))

    assert actual == pytest.approx(1 / (1 + 1 / np.log2(3) + 1 / 2))


def test_a_reversed_list_is_worse():
    """An ideal taken from the list in its own order would give 1 to both."""
    assert score("ndcg@4", positives("0011")) < score("ndcg@4", positives("1100")) == 1.0


def test_labels_are_never_cast_to_float32():
    """2**24 and 2**24 + 1 are two classes."""
    truth = query_set([str(2**24)], [str(2**24), str(2**24 + 1)])

    assert truth.hits(np.array([[0, 1]])).tolist() == [[True, False]]
    assert truth.n_relevant.tolist() == [1]


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
