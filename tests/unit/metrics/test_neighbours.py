"""True neighbours: exact, the query left out by its id, ties counted, never more than k of them."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import exact_search
from unit.metrics.builders import clustered

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities


def neighbours(vectors, k, space="ip", n_queries=None, own=True, **options):
    """Return the exact neighbours of the first rows among all rows."""
    n_queries = n_queries or len(vectors)
    self_ids = np.arange(n_queries) if own else np.full(n_queries, -1)
    similarities = Similarities(queries=vectors[:n_queries], base=vectors, space=space)
    return exact_neighbours(similarities, self_ids, k, **options)


def recall(exact, ids, k):
    """Return the knn_recall@k of results."""
    return MetricName("knn_recall", k).scores(exact.found(np.array(ids)).positives(k)).tolist()


@pytest.mark.parametrize("space", ["ip", "l2"])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("whole_numbers", [True, False])
def test_they_are_the_first_of_the_exact_ranking(space, own, whole_numbers):
    """With ties by id, whether the query is in the base or not."""
    random = np.random.default_rng(0)
    vectors = clustered(40, 4, 5, seed=0)[0]
    if whole_numbers:
        vectors = random.integers(-1, 2, (40, 4)).astype(np.float32)

    actual = neighbours(vectors, 7, space, own=own)

    for q, query in enumerate(vectors):
        expected = exact_search.ranking(query, vectors, space, q if own else -1)[:7]
        assert actual.ids[q].tolist() == expected
        kth = float(exact_search.similarity(query, vectors[expected[-1]], space))
        assert actual.similarity[q, -1] == pytest.approx(kth)


def test_blocks_change_nothing():
    """Memory is a matter of the machine, neighbours are not."""
    vectors = np.repeat(clustered(60, 24, 3, seed=0)[0], 2, axis=0)
    whole = neighbours(vectors, 10)

    for block_bytes in (1, 20_000):
        actual = neighbours(vectors, 10, block_bytes=block_bytes)
        np.testing.assert_array_equal(actual.ids, whole.ids)
        np.testing.assert_array_equal(actual.similarity, whole.similarity)
        np.testing.assert_array_equal(actual.tolerance, whole.tolerance)


def test_results_outside_the_neighbours_get_their_similarity():
    """Known neighbours are looked up, others are computed, padding and the query have none."""
    vectors = clustered(30, 4, 5, seed=0)[0]
    exact = neighbours(vectors, 3)
    ids = np.argsort(-(vectors @ vectors.T), axis=1)[:, ::-1].copy()
    ids[:, -1] = -1

    actual = exact.found(ids).similarity

    for q, i in ((0, 0), (0, 5), (29, 7), (3, 28)):
        expected = float(exact_search.similarity(vectors[q], vectors[ids[q, i]], "ip"))
        assert actual[q, i] == (-np.inf if ids[q, i] == q else pytest.approx(expected))
    assert (actual[:, -1] == -np.inf).all()
    assert np.isinf(actual[ids == np.arange(30)[:, None]]).all()


def test_an_equally_near_item_counts():
    """Which of two twins an index returns is no merit."""
    vectors = np.array([[1, 0], [0.5, 0], [0.5, 0], [0.5, 0], [-1, 0]], np.float32)
    exact = neighbours(vectors, 1, n_queries=1)

    assert [recall(exact, [[i]], 1) for i in (1, 2, 3, 4)] == [[1.0], [1.0], [1.0], [0.0]]


def test_what_float32_cannot_tell_apart_counts():
    """A library's own sums are good to about 1e-7 of the spread."""
    vectors = np.array([[1, 0], [1, 1], [1 - 2**-23, 0], [0, 0], [-1, 0], [-1, 1]], np.float32)
    exact = neighbours(vectors, 1, n_queries=1)

    assert recall(exact, [[2]], 1) == [1.0]


def test_all_items_the_same_is_perfect_recall():
    """Ids alone would say 0."""
    exact = neighbours(np.ones((20, 3), np.float32), 5)

    assert recall(exact, [[(q + 7 + i) % 20 for i in range(5)] for q in range(20)], 5) == [1.0] * 20


def test_ties_raise_no_recall_above_1():
    """Ten equally near results are still five of five."""
    exact = neighbours(np.ones((20, 3), np.float32), 5, n_queries=1)

    found = exact.found(np.arange(1, 11)[None]).positives(5)

    assert found.n_relevant.tolist() == [5]
    assert MetricName("knn_recall", 5).scores(found).tolist() == [1.0]


def test_a_smaller_k_has_a_higher_threshold():
    """One computation serves every k up to its own."""
    vectors = clustered(30, 4, 5, seed=0)[0]
    exact = neighbours(vectors, 10)
    shifted = np.roll(exact.ids, -1, axis=1)

    assert recall(exact, shifted, 1) == [0.0] * 30
    assert recall(exact, shifted, 9) == pytest.approx([8 / 9] * 30)
    assert recall(exact, shifted, 10) == [1.0] * 30


def test_the_query_itself_is_no_neighbour():
    """Returning it, as nearest of all, earns nothing."""
    exact = neighbours(clustered(10, 4, 5, seed=0)[0], 1)

    assert recall(exact, np.arange(10)[:, None], 1) == [0.0] * 10


def test_a_base_smaller_than_k_has_fewer_neighbours():
    """All there is to find has been found."""
    exact = neighbours(clustered(3, 4, 2, seed=0)[0], 5)
    ids = [[1, 2, -1, -1, -1], [0, -1, -1, -1, -1], [1, 0, -1, -1, -1]]

    assert exact.n_neighbours.tolist() == [2, 2, 2]
    assert recall(exact, ids, 5) == [1.0, 0.5, 1.0]


def test_a_base_of_the_query_alone_has_no_neighbours():
    """Nothing to find is undefined, not 0."""
    exact = neighbours(np.ones((1, 2), np.float32), 1)

    assert np.isnan(recall(exact, [[-1]], 1)).all()


def test_more_neighbours_than_were_computed_are_refused():
    """The threshold of the 20th neighbour is not known."""
    exact = neighbours(clustered(30, 4, 5, seed=0)[0], 10)

    with pytest.raises(
        UndefinedMetricError, match="knn_recall@20 needs 20 exact neighbours but 10"
    ):
        exact.found(np.zeros((30, 20), np.int64)).positives(20)
