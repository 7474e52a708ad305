"""Lists of base items, one for each query, held against lists of Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.item_lists import ItemLists

N_BASE = 7
one_list = st.lists(st.integers(0, N_BASE - 1), max_size=5, unique=True)
some_lists = st.lists(one_list, max_size=6)
pairs_of_lists = st.lists(st.tuples(one_list, one_list), max_size=6)


def plain(lists: ItemLists) -> list[list[int]]:
    """Return the lists as lists."""
    return [lists.items[a:b].tolist() for a, b in zip(lists.starts, lists.starts[1:], strict=False)]


@given(lists=some_lists)
def test_lists_come_back_ascending(lists):
    """Whatever order they were given in."""
    actual = ItemLists.of(lists)

    assert plain(actual) == [sorted(one) for one in lists]
    assert actual.counts.tolist() == [len(one) for one in lists]
    assert actual.queries.tolist() == [q for q, one in enumerate(lists) for _ in one]


@given(lists=some_lists, data=st.data())
def test_gains_stay_with_their_items(lists, data):
    """Sorting the items must not mix up how relevant they are."""
    gain = data.draw(st.permutations(range(1, N_BASE + 1)))

    actual = ItemLists.of(lists, [[gain[i] for i in one] for one in lists])

    assert actual.gains.tolist() == [gain[i] for i in actual.items]


@given(lists=some_lists, data=st.data())
def test_pairs_count_once_in_any_order(lists, data):
    """Two reasons to be junk make no junk twice."""
    pairs = [(q, i) for q, one in enumerate(lists) for i in one]
    drawn = data.draw(st.permutations(pairs + pairs[:3]))
    queries, items = (np.array([p[end] for p in drawn], np.int64) for end in (0, 1))

    actual = ItemLists.of_pairs(queries, items, len(lists), N_BASE)

    assert plain(actual) == [sorted(one) for one in lists]


@given(pairs=pairs_of_lists)
def test_set_logic(pairs):
    """Union and difference, query by query."""
    left, right = (ItemLists.of([pair[end] for pair in pairs]) for end in (0, 1))

    union, rest = left.union(right), left.without(right)

    assert plain(union) == [sorted({*a, *b}) for a, b in pairs]
    assert plain(rest) == [sorted({*a} - {*b}) for a, b in pairs]


@given(lists=some_lists, data=st.data())
def test_some_queries_are_taken_with_their_items(lists, data):
    """In any order, also twice; or a range of them."""
    queries = data.draw(st.lists(st.sampled_from(range(len(lists))))) if lists else []
    first = data.draw(st.integers(0, len(lists)))
    made = ItemLists.of(lists)

    taken, ranged = made.take(np.array(queries, np.int64)), made.rows(slice(first, len(lists)))

    assert plain(taken) == [sorted(lists[q]) for q in queries]
    assert plain(ranged) == [sorted(one) for one in lists[first:]]


@given(lists=some_lists, kept=st.sets(st.integers(0, N_BASE - 1)))
def test_renumbered_items_that_are_gone_are_dropped(lists, kept):
    """Lists of all items become lists of a base that has only some of them."""
    new = np.array([sorted(kept).index(i) if i in kept else -1 for i in range(N_BASE)])

    actual = ItemLists.of(lists).renumbered(new)

    assert plain(actual) == [[int(new[i]) for i in sorted(one) if i in kept] for one in lists]


@given(lists=st.lists(one_list, min_size=1, max_size=6), data=st.data())
def test_ids_are_found_where_they_stand(lists, data):
    """Padding is in no list."""
    ids = np.array([data.draw(st.permutations(range(-1, N_BASE))) for _ in lists])
    made = ItemLists.of(lists)

    places, found = made.find(ids)

    expected = [[i in one for i in row] for row, one in zip(ids.tolist(), lists, strict=True)]
    assert found.tolist() == expected
    assert (made.items[places[found]] == ids[found]).all()
    assert (made.queries[places[found]] == np.nonzero(found)[0]).all()


@pytest.mark.parametrize(
    ("lists", "gains", "words"),
    [
        ([[1], [2, 0, 2]], None, "Query 1 lists item 2 twice"),
        ([[-1]], None, "Query 0 lists item -1"),
        ([[0, 1]], [[1.0]], "1 gains for 2 items"),
        ([[0]], [[0.0]], "above 0"),
        ([[0]], [[float("nan")]], "above 0 and finite"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(lists, gains, words):
    """Each would change a metric in silence."""
    with pytest.raises(InvalidArrayError, match=words):
        ItemLists.of(lists, gains)
