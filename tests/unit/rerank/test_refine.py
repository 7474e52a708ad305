"""A second look orders candidates by their exact similarity, and pays for what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import second_look as oracle

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.rerank.refine import Refine, _from_half


def vectors(n, dim=12, seed=0):
    return unit_rows(np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32))


def never(queries):
    raise AssertionError("it searched again")


def refined(reranker, queries, base, ids, k, *, space="cosine"):
    state = reranker.fit(base, space)
    return reranker.rerank(queries, base, ids, never, state, k=k)


@given(
    space=st.sampled_from(["cosine", "ip", "l2"]),
    seed=st.integers(0, 99),
    k=st.integers(1, 20),
)
def test_candidates_are_ordered_by_exact_similarity(space, seed, k):
    """The definition, whatever order the index found them in; nothing else may come in."""
    base, queries = vectors(40, seed=seed), vectors(4, seed=seed + 1000)
    if space != "cosine":
        base, queries = base * np.arange(1, 41, dtype=np.float32)[:, None], queries * 3
    ids = np.random.default_rng(seed).permuted(np.tile(np.arange(40), (4, 1)), axis=1)[:, :20]

    actual = refined(Refine(n=20), queries, base, ids, k, space=space)

    expected = [
        oracle.most_similar(q, base.tolist(), row, k, space)
        for q, row in zip(queries.tolist(), ids.tolist(), strict=True)
    ]
    assert actual.tolist() == expected


@pytest.mark.parametrize("space", ["ip", "l2"])
@pytest.mark.parametrize("dim", [7, 12, 64, 100])
def test_duplicates_are_ordered_by_id(space, dim):
    """The last bit of a product must not depend on where among the candidates a vector stands."""
    base = np.tile(vectors(20, dim), (25, 1))
    ids = np.random.default_rng(0).permutation(500)[None, :333]

    actual = refined(Refine(n=333), vectors(1, dim, seed=1), base, ids, 333, space=space)[0]

    for which in range(20):
        same = actual[actual % 20 == which]
        assert (np.diff(same) > 0).all()
        assert np.ptp(np.flatnonzero(actual % 20 == which)) == len(same) - 1


@pytest.mark.parametrize(("store", "n_bytes"), [("float32", 4), ("float16", 2), ("int8", 1)])
@pytest.mark.parametrize("space", ["cosine", "l2"])
def test_stored_numbers_are_what_is_compared(store, n_bytes, space):
    """The second store is smaller than the vectors, and its rounding has to show."""
    base, queries = vectors(500), vectors(5, seed=1)
    ids = np.tile(np.arange(500), (5, 1))
    if store == "int8":
        step = np.abs(base).max(0) / np.float32(127)
        rounded = np.rint(base / step) * step.astype(float)
    else:
        rounded = base.astype(store).astype(float)

    actual = refined(Refine(n=500, store=store), queries, base, ids, 500, space=space)

    products = queries @ rounded.T
    similarity = products if space == "cosine" else 2 * products - (rounded**2).sum(1)
    ordered = np.take_along_axis(similarity, actual, axis=1)
    assert (np.diff(ordered, axis=1) < 1e-6).all()


@pytest.mark.parametrize(
    ("store", "n_bytes"), [("float32", 400 * 12), ("float16", 200 * 12), ("int8", 100 * 12 + 48)]
)
def test_the_second_store_is_counted(store, n_bytes):
    """A small code is no saving if the vectors are kept beside it."""
    reranker = Refine(store=store)

    assert reranker.state_bytes(reranker.fit(vectors(100), "cosine")) == n_bytes


def test_float32_is_kept_where_it_lies():
    """A mapped file needs no copy in memory."""
    base = vectors(10)

    assert Refine().fit(base, "cosine").numbers is base


def test_padding_stays_at_the_end():
    """An index that found too few results has no candidate called -1, which would be the base's last."""
    base, queries = vectors(30), vectors(1, seed=1)
    ids = np.array([[4, 7, NO_ITEM, 2, NO_ITEM]])

    actual = refined(Refine(n=5), queries, base, ids, 4)

    assert sorted(actual[0, :3]) == [2, 4, 7]
    assert actual[0, 3] == NO_ITEM


def test_a_query_without_any_candidate_gets_none():
    """Filters and short lists of an inverted file can leave nothing."""
    actual = refined(Refine(n=3), vectors(1), vectors(30), np.full((1, 3), NO_ITEM), 2)

    assert actual.tolist() == [[NO_ITEM, NO_ITEM]]


def test_an_answer_does_not_depend_on_the_other_queries():
    """A service answers one query at a time and must get what the benchmark scored."""
    base, queries = vectors(100), vectors(7, seed=1)
    ids = np.tile(np.arange(100), (7, 1))
    reranker = Refine(n=100, store="int8")

    together = refined(reranker, queries, base, ids, 10)

    alone = [refined(reranker, q[None], base, ids[:1], 10)[0] for q in queries]
    np.testing.assert_array_equal(together, np.array(alone))


def test_what_arrives_is_not_changed():
    """The index's answer is compared with the refined one afterwards."""
    ids = np.array([[9, 3, 5]])

    refined(Refine(n=3), vectors(1), vectors(30), ids, 2)

    assert ids.tolist() == [[9, 3, 5]]


def test_a_dimension_without_values_is_kept_at_zero():
    """Dead units of a network are common; a step of 0 would make NaN of them."""
    base = vectors(30)
    base[:, 3] = 0

    state = Refine(store="int8").fit(base, "cosine")

    assert np.isfinite(state.step).all()
    assert (state.numbers[:, 3] == 0).all()


def test_fewer_candidates_than_results_are_refused():
    """All such values would give one and the same point of a sweep."""
    with pytest.raises(
        SettingError, match=r"n = 20 candidates but .* k = 50\. Set n to 50 or more"
    ):
        Refine(n=20).check(k=50, space="cosine")


def test_it_asks_for_n_candidates():
    """That many and no fewer are paid for."""
    assert [Refine(n=20).depth(k) for k in (10, 20, 30)] == [20, 20, 30]


def test_halves_become_the_same_float32():
    """All 63,488 finite ones, zeros of both signs and subnormal ones included."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]

    actual = _from_half(halves)

    np.testing.assert_array_equal(actual, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(actual), np.signbit(halves))


def test_values_beyond_float16_are_refused():
    """An infinite vector is found by nobody."""
    with pytest.raises(InvalidArrayError, match=r"100000, but float16 ends at 65504"):
        Refine(store="float16").fit(np.full((2, 2), 1e5, np.float32), "ip")
