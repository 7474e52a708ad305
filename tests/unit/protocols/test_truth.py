"""From arrays to ground truth, held against loops written from the papers' definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements, RevisitedGroundTruth
from cbir_bench.protocols import truth
from cbir_bench.protocols.truth import apart, leave_one_out, revisited

labels_of_one = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True)
codes_of_one = st.integers(-1, 2)


@st.composite
def items(draw, least=1):
    """Draw items, each with labels, a camera and a group."""
    single = draw(st.booleans())
    one = st.tuples(
        st.sampled_from("abcd").map(lambda x: [x]) if single else labels_of_one,
        codes_of_one,
        codes_of_one,
    )
    return draw(st.lists(one, min_size=least, max_size=8))


def column(drawn, place) -> np.ndarray:
    """Return the cameras (1) or the groups (2) of items."""
    return np.array([one[place] for one in drawn], np.int64)


def is_junk(query, item, cameras, groups) -> bool:
    """Zheng et al., 2015: the same identity by the same camera; near-duplicates whatever they are."""
    same_camera = set(query[0]) & set(item[0]) and query[1] == item[1] != -1
    return bool((cameras and same_camera) or (groups and query[2] == item[2] != -1))


def lists(found: ItemLists) -> list[list[int]]:
    """Return the lists as lists."""
    return [one.tolist() for one in np.split(found.items, found.starts[1:-1])]


@given(drawn=items(), cameras=st.booleans(), groups=st.booleans(), data=st.data())
def test_leave_one_out_is_the_loop_over_all_pairs(drawn, cameras, groups, data):
    """Every item against all others, with all queries or some."""
    n = len(drawn)
    queries = data.draw(st.none() | st.sets(st.integers(0, n - 1), min_size=1).map(sorted))

    truth = leave_one_out(
        LabelSets.of([one[0] for one in drawn]),
        queries=None if queries is None else np.array(queries),
        cameras=column(drawn, 1) if cameras else None,
        groups=column(drawn, 2) if groups else None,
    )

    asked = range(n) if queries is None else queries
    junk = [
        [i for i in range(n) if i != q and is_junk(drawn[q], drawn[i], cameras, groups)]
        for q in asked
    ]
    relevant = [
        [i for i in range(n) if i != q and set(drawn[q][0]) & set(drawn[i][0]) and i not in out]
        for q, out in zip(asked, junk, strict=True)
    ]
    assert (truth.junk is None) == (not cameras and not groups)
    if truth.junk is not None:
        assert lists(truth.junk) == junk
    assert lists(truth.relevant_items(slice(0, len(junk)))) == relevant
    assert truth.n_relevant.tolist() == list(map(len, relevant))
    assert truth.self_ids.tolist() == truth.query_rows.tolist() == list(asked)


@given(mine=items(), theirs=items(), cameras=st.booleans(), groups=st.booleans())
def test_queries_apart_are_the_loop_over_all_pairs(mine, theirs, cameras, groups):
    """Queries first, the base after them."""
    labels = LabelSets.of([one[0] for one in (*mine, *theirs)])
    n = len(mine)

    truth = apart(
        labels.take(np.arange(n)),
        labels.take(np.arange(n, len(labels))),
        query_cameras=column(mine, 1) if cameras else None,
        base_cameras=column(theirs, 1) if cameras else None,
        query_groups=column(mine, 2) if groups else None,
        base_groups=column(theirs, 2) if groups else None,
    )

    junk = [[i for i, b in enumerate(theirs) if is_junk(a, b, cameras, groups)] for a in mine]
    relevant = [
        [i for i, b in enumerate(theirs) if set(a[0]) & set(b[0]) and i not in out]
        for a, out in zip(mine, junk, strict=True)
    ]
    assert lists(truth.relevant_items(slice(0, n))) == relevant
    if truth.junk is not None:
        assert lists(truth.junk) == junk
    assert np.concatenate([truth.query_rows, truth.base_rows]).tolist() == list(range(len(labels)))
    assert not truth.leave_one_out


def test_the_same_person_by_the_same_camera_is_junk():
    """Market-1501 in small: only other cameras count, other persons of this camera stay wrong."""
    labels = LabelSets.of(["eve", "eve", "eve", "bob", "nobody"])

    truth = apart(
        labels.take(np.array([0])),
        labels.take(np.arange(1, 5)),
        query_cameras=np.array([1]),
        base_cameras=np.array([1, 2, 1, 1]),
    )

    actual = truth.positives(np.array([[0, 2, 3, 1]]))
    assert actual.ranks.tolist() == [3]
    assert actual.n_relevant.tolist() == [1]
    assert actual.depth is None


def test_graded_relevance_is_the_jaccard_overlap():
    """Two of three labels in common are more than one of four."""
    labels = LabelSets.of([tuple("abc"), tuple("ab"), tuple("cxy"), tuple("abc"), ("z",)])

    actual = leave_one_out(labels, queries=np.array([0]), graded=True).positives(
        np.array([[1, 2, 3, 4]])
    )

    assert actual.ranks.tolist() == [1, 2, 3]
    assert actual.gains.tolist() == [2 / 3, 1 / 5, 1]


def revisited_truth() -> RevisitedGroundTruth:
    """Return two queries: the first has items of every kind, the second easy and junk ones."""
    return RevisitedGroundTruth(
        query_names=("tower_000100", "bridge_000200"),
        base_names=("tower_000001", "tower_000002", "tower_000003", "bridge_000001", "tree_1"),
        boxes=np.array([[0.0, 0, 1, 1]] * 2),
        judgements=Judgements(
            easy=ItemLists.of([[1], [3]]),
            hard=ItemLists.of([[0], []]),
            junk=ItemLists.of([[2], [0, 4]]),
        ),
    )


@pytest.mark.parametrize(
    ("difficulty", "relevant", "junk"),
    [
        ("easy", [[1], [3]], [[0, 2], [0, 4]]),
        ("medium", [[0, 1], [3]], [[2], [0, 4]]),
        ("hard", [[0], []], [[1, 2], [0, 3, 4]]),
    ],
)
@pytest.mark.parametrize("n_distractors", [0, 3])
def test_revisited_lists_at_each_difficulty(difficulty, relevant, junk, n_distractors):
    """Distractors are further wrong items at the end of the base."""
    truth = revisited(revisited_truth(), difficulty, n_distractors)

    assert lists(truth.relevant_items(slice(0, 2))) == relevant
    assert lists(truth.ignored_items(slice(0, 2))) == junk
    assert truth.base_rows.tolist() == list(range(2, 7 + n_distractors))
    assert truth.query_rows.tolist() == [0, 1]


def test_revisited_average_precision_by_the_papers_own_steps():
    """Radenovic et al.: positives' ranks less the junk above them, then the trapezoid rule.

    The ranking is junk, easy, wrong, hard under Medium: the positives move to ranks 1 and 3.
    """
    ranking = [2, 1, 3, 0, 4]
    easy, hard, junk = [1], [0], [2]
    places = [ranking.index(i) for i in ranking if i in easy + hard]
    places = [p - sum(ranking.index(j) < p for j in junk) for p in places]
    expected = 0.0
    for j, p in enumerate(places):
        before = 1.0 if p == 0 else j / p
        expected += (before + (j + 1) / (p + 1)) / 2 / len(places)

    ranks = revisited(revisited_truth(), "medium").positives(np.array([ranking] * 2))

    first = ranks.ranks[ranks.starts[0] : ranks.starts[1]]
    assert first.tolist() == [1, 3]
    n = len(first)
    above = [(j / (r - 1) if r > 1 else 1.0, (j + 1) / r) for j, r in enumerate(first)]
    assert sum(sum(pair) / 2 / n for pair in above) == pytest.approx(expected)


def test_a_query_without_anything_easy_or_hard_has_no_value():
    """Two of the seventy queries of Oxford have no easy image; they are left out, not 0."""
    truth = revisited(revisited_truth(), "hard")

    assert truth.n_relevant.tolist() == [1, 0]


def test_classes_of_revisited_queries_are_their_landmarks():
    """Distractors are a class that nobody asks for."""
    truth = revisited(revisited_truth(), "easy", 2)

    names = truth.query_labels.names
    assert [names[c] for c in truth.classes] == ["tower", "bridge"]
    assert [names[c] for c in truth.base_labels.first()[-3:]] == [
        "tree",
        "distractor",
        "distractor",
    ]


ONE = LabelSets.of(["a", "a"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: leave_one_out(ONE, cameras=np.array([1])), "2 labels but 1 cameras"),
        (lambda: leave_one_out(ONE, groups=np.array([1] * 3)), "2 labels but 3 groups"),
        (
            lambda: apart(ONE, ONE, query_cameras=np.array([1, 1])),
            "cameras of the base are missing",
        ),
        (
            lambda: apart(ONE, ONE, base_groups=np.array([1, 1])),
            "groups of the queries are missing",
        ),
        (
            lambda: apart(ONE, ONE, query_groups=np.array([1, 1]), base_groups=np.array([1])),
            "2 labels of the base but 1 groups of the base",
        ),
        (lambda: apart(ONE, LabelSets.of(["b", "a"])), "codes of their own"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(make, words):
    """With both numbers."""
    with pytest.raises(InvalidArrayError, match=words):
        make()


@pytest.mark.parametrize(
    ("difficulty", "n", "words"), [("mild", 0, "'mild'"), ("easy", -1, "-1 distractors")]
)
def test_settings_that_cannot_be_are_refused(difficulty, n, words):
    """Each in a sentence."""
    with pytest.raises(SettingError, match=words):
        revisited(revisited_truth(), difficulty, n)


def test_more_junk_than_memory_holds_is_refused(monkeypatch):
    """Of a model that has collapsed every item is a near-duplicate of every other: n^2 pairs."""
    monkeypatch.setattr(truth, "_MOST_PAIRS", 99)
    labels = LabelSets.of(["a", "b"] * 5)

    with pytest.raises(InvalidArrayError, match="100 pairs of a query and an item are junk"):
        leave_one_out(labels, groups=np.zeros(10, np.int64))


def test_the_name_of_a_landmark_is_no_relevance():
    """What nobody has listed for a query is wrong, whatever its file is called, and the other way round."""
    listed = RevisitedGroundTruth(
        query_names=("tower_000100",),
        base_names=("tower_000001", "bridge_000001", "tower_000002"),
        boxes=np.array([[0.0, 0, 1, 1]]),
        judgements=Judgements(
            easy=ItemLists.of([[1]]), hard=ItemLists.of([[]]), junk=ItemLists.of([[0]])
        ),
    )

    actual = revisited(listed, "easy").positives(np.array([[0, 2, 1]]))

    assert actual.ranks.tolist() == [2]
    assert actual.n_relevant.tolist() == [1]
