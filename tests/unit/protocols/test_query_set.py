"""Queries apart from the base: by role, or drawn so that every class has both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.protocols.items import dataset

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.protocols.query_set import QuerySet

A, Q, B = Role.ANY, Role.QUERY, Role.BASE


def split(data, protocol=None):
    """Return (rows of queries, rows of base) in the test split."""
    truth = (protocol or QuerySet()).ground_truth(data, data.rows(Split.TEST))
    return truth.query_rows.tolist(), truth.base_rows.tolist()


@pytest.mark.parametrize(
    ("roles", "queries", "base"),
    [
        ([Q, B, B, Q], [0, 3], [1, 2]),
        ([Q, A, A, B], [0], [1, 2, 3]),
        ([B, A, B, A], [1, 3], [0, 2]),
    ],
)
def test_roles_of_the_data_set_decide(roles, queries, base):
    """An item without a role joins the base, or the queries where nothing else is one."""
    assert split(dataset("aabb", roles)) == (queries, base)


def test_roles_outside_of_the_test_split_do_not_count():
    """Training images of a set with roles have none that matter."""
    data = dataset("aaaaaa", [Q, A, A, A, A, A], splits=[0, 2, 2, 2, 2, 2])

    queries, base = split(data)

    assert len(queries) == 1
    assert sorted(queries + base) == [0, 1, 2, 3, 4]


@given(
    labels=st.lists(st.sampled_from("abcdef"), min_size=2, max_size=60),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**63 - 1),
)
def test_each_class_has_queries_and_keeps_a_base(labels, fraction, seed):
    """Every query can find something, and every class of two is asked for."""
    if len(set(labels)) == len(labels):
        labels = [*labels, labels[0]]
    data = dataset(labels)

    queries, base = split(data, QuerySet(query_fraction=fraction, seed=seed))

    assert sorted(queries + base) == list(range(len(labels)))
    for label in set(labels):
        size = labels.count(label)
        n_queries = sum(labels[q] == label for q in queries)
        assert n_queries == min(max(round(fraction * size), 1), size - 1)


@given(order=st.permutations(range(20)), seed=st.integers(0, 5))
def test_the_draw_does_not_depend_on_the_order_of_items(order, seed):
    """Files may be listed in another order on another machine."""
    labels = list("aabbbccccdddddeeeeee")
    ids = [f"photo {i}" for i in range(20)]
    shuffled = dataset([labels[i] for i in order], ids=[ids[i] for i in order])

    queries, _ = split(dataset(labels, ids=ids), QuerySet(seed=seed))
    others, _ = split(shuffled, QuerySet(seed=seed))

    assert {ids[q] for q in queries} == {ids[order[q]] for q in others}


def test_the_seed_changes_the_draw():
    """Another draw of queries shows how much the draw matters."""
    data = dataset("a" * 50)

    draws = {tuple(split(data, QuerySet(seed=seed))[0]) for seed in range(5)}

    assert len(draws) == 5


def test_a_growing_class_keeps_its_queries():
    """Old results stay comparable when images are added to other classes."""
    few = dataset("a" * 20)
    more = dataset("a" * 20 + "b" * 20)

    assert split(few)[0] == [q for q in split(more)[0] if q < 20]


def test_an_item_with_several_labels_belongs_to_its_first():
    """Each query shares that label with an item of the base."""
    data = dataset([("a", "b"), ("a", "c"), ("b", "c"), ("b",), ("c",), ("c", "d")])

    truth = QuerySet().ground_truth(data, data.rows(Split.TEST))

    assert (truth.n_relevant > 0).all()
    assert len(truth.query_rows) == 3


def test_labels_are_those_of_the_rows():
    """Rows of the split are not rows of the data set."""
    data = dataset("xxaab", [A, A, Q, B, B], splits=[0, 0, 2, 2, 2])

    truth = QuerySet().ground_truth(data, data.rows(Split.TEST))

    assert truth.n_relevant.tolist() == [1]
    assert truth.relevant(0).tolist() == [True, False]
    assert truth.self_ids.tolist() == [-1]


def test_no_query_is_an_error():
    """A suite without queries measures nothing."""
    with pytest.raises(DataError, match="'shoes' has no query"):
        split(dataset("abcd"))
    with pytest.raises(DataError, match="'shoes' has no query"):
        split(dataset("aabb", [B, B, B, B]))


def test_no_base_is_an_error():
    """Nothing can be found in nothing."""
    with pytest.raises(DataError, match=r"All 2 items .* are queries"):
        split(dataset("aa", [Q, Q]))


def test_protocols_are_found_by_name():
    """As suite files write them."""
    assert PROTOCOLS["query-set"] is QuerySet
    assert np.allclose(PROTOCOLS["query-set"]().query_fraction, 0.2)
