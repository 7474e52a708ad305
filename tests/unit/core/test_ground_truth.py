"""Two items match if they share a label; a query never matches itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.item_lists import ItemLists

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


@st.composite
def truths_with_junk(draw):
    """Draw a ground truth with junk, and what is relevant and left out by plain sets."""
    n_queries, n_base = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    labels = st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True)
    if draw(st.booleans()):
        labels = st.sampled_from("abc").map(lambda one: [one])
    mine, theirs = (draw(st.lists(labels, min_size=n, max_size=n)) for n in (n_queries, n_base))
    some = st.lists(st.sets(st.integers(0, n_base - 1)), min_size=n_queries, max_size=n_queries)
    judged = draw(some) if draw(st.booleans()) else None
    junk, own = (
        draw(some),
        draw(st.lists(st.integers(-1, n_base - 1), min_size=n_queries, max_size=n_queries)),
    )
    # A query's own label is that of its item.
    mine = [theirs[i] if i >= 0 else one for i, one in zip(own, mine, strict=True)]
    truth = replace(
        truth_of([tuple(one) for one in mine], [tuple(one) for one in theirs], own),
        junk=ItemLists.of([sorted(one) for one in junk]),
        judged=None if judged is None else ItemLists.of([sorted(one) for one in judged]),
        graded=draw(st.booleans()) and judged is None,
    )
    gain = [
        {
            i: len(set(a) & set(b)) / len(set(a) | set(b)) if truth.graded else 1.0
            for i, b in enumerate(theirs)
            if (set(a) & set(b) if judged is None else i in judged[q])
        }
        for q, a in enumerate(mine)
    ]
    left_out = [junk[q] | ({own[q]} - {-1}) for q in range(n_queries)]
    return (
        truth,
        [
            {i: g for i, g in one.items() if i not in out}
            for one, out in zip(gain, left_out, strict=True)
        ],
        left_out,
    )


@given(drawn=truths_with_junk(), data=st.data())
def test_junk_is_removed_before_anything_is_counted(drawn, data):
    """Ranks, gains, R and depth are those of the lists that are left, written as a loop."""
    truth, gain, left_out = drawn
    n_base = len(truth.base_rows)
    k = data.draw(st.integers(1, n_base + 1))
    ids = np.array([data.draw(st.permutations(range(n_base)))[:k] for _ in gain])
    if data.draw(st.booleans()):
        ids = np.pad(ids, ((0, 0), (0, 1)), constant_values=-1)

    actual = truth.positives(ids)

    kept = [
        [i for i in row if i not in out] for row, out in zip(ids.tolist(), left_out, strict=True)
    ]
    ranks = [[r for r, i in enumerate(row, 1) if i in g] for row, g in zip(kept, gain, strict=True)]
    assert [r.tolist() for r in np.split(actual.ranks, actual.starts[1:-1])] == ranks
    assert actual.n_relevant.tolist() == truth.n_relevant.tolist() == list(map(len, gain))
    found = [[i for i in row if i >= 0] for row in kept]
    if all(len(row) == n_base - len(out) for row, out in zip(found, left_out, strict=True)):
        assert actual.depth is None
    else:
        assert actual.depth == min(map(len, kept))
    if truth.graded:
        gains = [g[i] for row, g in zip(kept, gain, strict=True) for i in row if i in g]
        assert actual.gains.tolist() == gains
        ideal = [v for g in gain for v in sorted(g.values(), reverse=True)]
        assert actual.grades.values.tolist() == ideal
    assert truth.hits(ids).tolist() == [
        [i in g for i in row] for row, g in zip(ids.tolist(), gain, strict=True)
    ]


@given(drawn=truths_with_junk())
def test_lists_of_relevant_and_ignored_items(drawn):
    """What complete rankings are computed from, block by block."""
    truth, gain, left_out = drawn
    everything = slice(0, len(gain))

    relevant, ignored = truth.relevant_items(everything), truth.ignored_items(everything)

    assert [sorted(g) for g in gain] == [
        one.tolist() for one in np.split(relevant.items, relevant.starts[1:-1])
    ]
    assert [sorted(out) for out in left_out] == [
        one.tolist() for one in np.split(ignored.items, ignored.starts[1:-1])
    ]
    last = truth.relevant_items(slice(len(gain) - 1, len(gain)))
    assert last.items.tolist() == sorted(gain[-1])


def test_gains_that_people_have_judged():
    """They are in the place of the overlap of labels, and the highest is the top of the scale."""
    truth = replace(truth_of("a", "aaa"), judged=ItemLists.of([[2, 0]], [[3.0, 0.5]]))

    actual = truth.positives(np.array([[1, 0, 2]]))

    assert actual.ranks.tolist() == [2, 3]
    assert actual.gains.tolist() == [0.5, 3.0]
    assert actual.grades.values.tolist() == [3.0, 0.5]
    assert actual.grades.highest == 3.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"junk": ItemLists.of([[3]])}, "has as junk the item 3, but the base has 3 items"),
        ({"judged": ItemLists.of([[7]])}, "judges the item 7, but the base has 3 items"),
        ({"self_ids": np.array([3])}, "is itself the item 3"),
        ({"junk": ItemLists.of([[1], []])}, "1 queries, .* 2 lists of junk"),
        ({"judged": ItemLists.of([])}, "0 lists of judged items"),
        ({"base_rows": np.arange(2)}, "2 base items, 3 base labels"),
        ({"self_ids": np.array([-1, -1])}, "2 ids of queries themselves"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, words):
    """An id unknown to the base would be another item's."""
    with pytest.raises(InvalidArrayError, match=words):
        replace(truth_of("a", "aab"), **change)


def test_a_twin_that_comes_before_the_query_is_a_hit():
    """Of equal items an index may return any first: the query is known by its id, not by its rank."""
    truth = truth_of(["a", "b"], ["a", "b", "a", "b"], self_ids=[0, 1])

    actual = truth.positives(np.array([[2, 1, 0], [3, 0, 1]]))

    assert actual.ranks.tolist() == [1, 1]
    assert actual.n_relevant.tolist() == [1, 1]


def texts_of(**changes):
    """Return the ground truth of two texts that ask for three images."""
    return replace(truth_of(["a", "b"], ["a", "b", "a"]), query_texts=("an a", "a b"), **changes)


def test_texts_are_counted_apart_from_images():
    """The first text and the first image are both row 0, and have nothing to do with each other."""
    actual = texts_of(base_rows=np.arange(3))

    assert actual.query_rows.tolist() == [0, 1]
    assert actual.base_rows.tolist() == [0, 1, 2]
    assert actual.n_relevant.tolist() == [2, 1]
    assert not actual.symmetric


@pytest.mark.parametrize(("rows", "wrong"), [([0, 2], "text 2"), ([-1, 0], "text -1")])
def test_a_text_that_is_not_given_is_an_error(rows, wrong):
    """-1 would be the last text."""
    with pytest.raises(InvalidArrayError, match=wrong):
        texts_of(query_rows=np.array(rows))


def test_a_text_is_no_item_of_the_base():
    """It would be removed from its own ranking, and an image with it."""
    with pytest.raises(InvalidArrayError, match="Set self_ids to -1"):
        texts_of(self_ids=np.array([-1, 0]))
