"""Alpha-weighted query expansion does what its paper says, behind any index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import query_expansion as oracle

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.errors import SettingError
from cbir_bench.rerank.alpha_qe import AlphaQueryExpansion


def vectors(n, dim=12, seed=0):
    """Return unit rows; some pairs of them have negative cosines."""
    return unit_rows(np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32))


def exact_search(base, k):
    """Return a live index that answers exactly."""

    def search(queries):
        return np.argsort(-(queries @ base.T), axis=1, kind="stable")[:, :k].astype(np.int64)

    return search


@given(alpha=st.sampled_from([0.0, 0.5, 1.0, 3.0]), n=st.integers(1, 8), seed=st.integers(0, 99))
def test_expansion_equals_the_paper_written_out(alpha, n, seed):
    """The vectorised sum is the definition, negative cosines and fractional powers included."""
    base, queries = vectors(30, seed=seed), vectors(5, seed=seed + 1000)
    ids = np.random.default_rng(seed).permuted(np.tile(np.arange(30), (5, 1)), axis=1)[:, :10]

    actual = AlphaQueryExpansion(n=n, alpha=alpha).expand(queries, base, ids)

    expected = [
        oracle.expanded_query(q, base, row[:n], alpha) for q, row in zip(queries, ids, strict=True)
    ]
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_padding_adds_nothing():
    """An index that found too few results must not pull the query towards the base's last row."""
    base, queries = vectors(30), vectors(1, seed=1)
    ids = np.array([[4, 7, NO_ITEM, NO_ITEM]])

    actual = AlphaQueryExpansion(n=4).expand(queries, base, ids)

    expected = AlphaQueryExpansion(n=2).expand(queries, base, ids[:, :2])
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_answer_comes_from_a_second_search():
    """Expansion gains by finding what the first search did not return, so it may not only reorder."""
    base, queries = vectors(200, dim=4), vectors(20, dim=4, seed=1)
    search = exact_search(base, 5)
    reranker = AlphaQueryExpansion(n=5, alpha=1.0)

    actual = reranker.rerank(queries, base, search(queries), search, None, k=5)

    expected = search(reranker.expand(queries, base, search(queries)))
    np.testing.assert_array_equal(actual, expected)
    assert (np.sort(actual, axis=1) != np.sort(search(queries), axis=1)).any()


def test_an_answer_does_not_depend_on_the_other_queries():
    """A service answers one query at a time and must get what the benchmark scored."""
    base, queries = vectors(100), vectors(7, seed=1)
    search = exact_search(base, 10)
    reranker = AlphaQueryExpansion(n=5)

    together = reranker.rerank(queries, base, search(queries), search, None, k=10)

    alone = [
        reranker.rerank(q[None], base, search(q[None]), search, None, k=10)[0] for q in queries
    ]
    np.testing.assert_array_equal(together, np.array(alone))


def test_more_neighbours_than_results_is_refused():
    """Adding fewer than asked would be another method under the same name."""
    with pytest.raises(SettingError, match="n = 20 results but the ranking has k = 10"):
        AlphaQueryExpansion(n=20).check(k=10, space="cosine")


def test_a_space_without_angles_is_refused():
    """Weights are powers of a cosine."""
    with pytest.raises(SettingError, match="cosine"):
        AlphaQueryExpansion(n=5).check(k=10, space="l2")
