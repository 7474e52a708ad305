"""Exact search against the definition, where float32 and ties make it hard."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.indexes import exact
from cbir_bench.indexes.exact import ExactIndex


def search(base, queries, space, k):
    index = ExactIndex()
    return index.batch(index.build(base, space, 1), k)(queries)


def test_equal_similarities_are_ordered_by_id():
    """Otherwise the cut at k would fall differently on every machine."""
    base = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1]], np.float32)
    query = np.array([[1, 0]], np.float32)

    assert search(base, query, "ip", 2).tolist() == [[0, 2]]
    assert search(base, query, "ip", 4).tolist() == [[0, 2, 3, 1]]


def test_all_items_equal():
    """A base of duplicates is the extreme of ties."""
    base = np.ones((50, 4), np.float32)

    actual = search(base, base[:1], "cosine", 10)

    assert actual.tolist() == [list(range(10))]


@pytest.mark.parametrize("k", [1, 7, 100, 3000])
def test_many_ties_follow_the_definition(k):
    """Sort by similarity, then by id; short sorts keep the order by chance, long ones do not."""
    random = np.random.default_rng(0)
    base = random.integers(-2, 3, (3000, 3)).astype(np.float32)
    queries = random.integers(-2, 3, (5, 3)).astype(np.float32)
    similarities = queries @ base.T
    expected = [np.lexsort((np.arange(3000), -row))[:k] for row in similarities]

    np.testing.assert_array_equal(search(base, queries, "ip", k), expected)


def test_far_from_the_origin_distances_stay_exact():
    """|a - b|^2 from |a|^2 - 2ab + |b|^2 loses all digits where the vectors are long and close."""
    random = np.random.default_rng(0)
    offsets = random.standard_normal((300, 8))
    base = (10_000 + offsets).astype(np.float32)
    queries = (10_000 + random.standard_normal((20, 8))).astype(np.float32)
    distances = ((queries[:, None].astype(float) - base[None].astype(float)) ** 2).sum(2)

    actual = search(base, queries, "l2", 1)

    np.testing.assert_array_equal(actual[:, 0], distances.argmin(1))


def test_blocks_do_not_change_the_answer(monkeypatch):
    """A large base is searched a few queries at a time."""
    random = np.random.default_rng(0)
    base = random.integers(-3, 4, (200, 6)).astype(np.float32)
    queries = random.integers(-3, 4, (17, 6)).astype(np.float32)
    whole = search(base, queries, "ip", 9)

    monkeypatch.setattr(exact, "_BLOCK_BYTES", 4 * 200 * 5)

    np.testing.assert_array_equal(search(base, queries, "ip", 9), whole)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads_of_the_matrix_product_are_set(n_threads):
    """Single queries use one thread whatever the build was given."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(None):
        ExactIndex().configure(None, n_threads)

        pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
        assert {pool["num_threads"] for pool in pools} <= {1, n_threads}
