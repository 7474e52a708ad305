"""Two items match if they share a label; a query never matches itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth

label_sets = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), min_size=2, max_size=8
)


def truth_of(query_labels, base_labels, self_ids=None):
    """Return a ground truth whose queries come first, or are in the base."""
    labels = LabelSets.of([*query_labels, *base_labels])
    n_queries = len(query_labels)
    queries, base = np.arange(n_queries), np.arange(n_queries, len(labels))
    return GroundTruth(
        query_rows=queries,
        base_rows=base,
        query_labels=labels.take(queries),
        base_labels=labels.take(base),
        self_ids=np.full(n_queries, -1) if self_ids is None else np.array(self_ids),
    )


def test_items_with_one_label():
    """Equal labels match; a label that only queries have matches nothing."""
    truth = truth_of(["a", "b", "z"], ["a", "b", "a"])

    assert truth.n_relevant.tolist() == [2, 1, 0]
    assert truth.relevant(0).tolist() == [True, False, True]
    assert truth.relevant(2).tolist() == [False, False, False]
    assert not truth.leave_one_out


def test_items_with_several_labels():
    """One shared label is enough, and two count once."""
    truth = truth_of([("a", "b")], [("a", "b"), ("b", "c"), ("c",)])

    assert truth.relevant(0).tolist() == [True, True, False]
    assert truth.n_relevant.tolist() == [2]


def test_padding_is_never_a_hit():
    """-1 would index the last item of the base."""
    truth = truth_of(["a", "b"], ["b", "a"])

    assert truth.hits(np.array([[1, -1], [0, -1]])).tolist() == [[True, False], [True, False]]


def test_the_query_itself_is_never_a_hit():
    """Even if an index returns it."""
    truth = truth_of(["a", "b"], ["a", "b", "a"], self_ids=[0, 1])

    assert truth.leave_one_out
    assert truth.n_relevant.tolist() == [1, 0]
    assert truth.hits(np.array([[0, 2], [1, 0]])).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("own", [True, False])
@given(sets=label_sets, data=st.data())
def test_hits_counts_and_relevance_agree_with_set_logic(own, sets, data):
    """For one label each and for several, in every combination."""
    n = len(sets)
    if data.draw(st.booleans()):
        sets = [one[:1] for one in sets]
    truth = truth_of(
        [tuple(one) for one in sets], [tuple(one) for one in sets], range(n) if own else None
    )
    ids = np.array([data.draw(st.permutations(range(-1, n))) for _ in range(n)])

    hits = truth.hits(ids)

    expected = [
        [bool(set(sets[q]) & set(sets[i])) and not (own and i == q) for i in range(n)]
        for q in range(n)
    ]
    assert truth.n_relevant.tolist() == [sum(row) for row in expected]
    for q in range(n):
        assert truth.relevant(q).tolist() == expected[q]
        assert hits[q].tolist() == [i >= 0 and expected[q][i] for i in ids[q]]
