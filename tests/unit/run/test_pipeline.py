"""Leaving the query itself out of its ranking."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.run.pipeline import leave_out

rankings = st.lists(st.permutations(range(8)).map(lambda p: p[:5]), min_size=1, max_size=6)


@given(rankings, st.data())
def test_it_is_the_list_without_the_query_cut_at_k(rows, data):
    """The definition, whatever the place of the query in its ranking."""
    own = [data.draw(st.sampled_from([NO_ITEM, *range(8)])) for _ in rows]

    actual = leave_out(np.array(rows), np.array(own))

    expected = [[i for i in row if i != me][:4] for row, me in zip(rows, own, strict=True)]
    assert actual.tolist() == expected


def test_padding_is_not_taken_for_a_query_outside_the_base():
    """Both are written as NO_ITEM."""
    ids = np.array([[4, 2, NO_ITEM, NO_ITEM]])

    assert leave_out(ids, np.array([NO_ITEM])).tolist() == [[4, 2, NO_ITEM]]
    assert leave_out(ids, np.array([4])).tolist() == [[2, NO_ITEM, NO_ITEM]]


def test_a_duplicate_of_the_query_stays():
    """It is another image; with inner product it may even come before the query itself."""
    ids = np.array([[9, 3, 5]])

    assert leave_out(ids, np.array([3])).tolist() == [[9, 5]]
