"""Which labels decide, what is junk, and old settings that keep their keys."""

from __future__ import annotations

import re

import numpy as np
import pytest
from unit.protocols.items import dataset

from cbir_bench.core.component import describe, setting_of
from cbir_bench.core.dataset import LabelSets, Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements
from cbir_bench.protocols.full_base import FullBase
from cbir_bench.protocols.query_set import QuerySet
from cbir_bench.protocols.summary import group_note, summarise

Q, B = Role.QUERY, Role.BASE


def truth_of(data, protocol):
    """Return the ground truth of the test split."""
    return protocol.ground_truth(data, data.rows(Split.TEST))


def everything():
    """Return two queries and four base items with all that can be known of items.

    A training item comes first, so that rows of the data set are not those of its test split.
    """
    return dataset(
        ["-", "a", "b", "a", "a", "b", "c"],
        roles=[Role.ANY, Q, Q, B, B, B, B],
        splits=[0, 2, 2, 2, 2, 2, 2],
        more_labels={"coarse": LabelSets.of(["-", "x", "x", "x", "x", "x", "y"])},
        cameras=np.array([0, 1, 2, 1, 2, 2, 1]),
        groups=np.array([-1, 0, 1, -1, 0, -1, 1]),
    )


@pytest.mark.parametrize(
    ("options", "n_relevant", "junk"),
    [
        ({}, [1, 0], [[0], [2]]),
        ({"same_camera": "keep"}, [2, 1], None),
        ({"labels": "coarse"}, [2, 1], [[0], [1, 2]]),
        ({"labels": "coarse", "same_camera": "keep"}, [3, 3], None),
        ({"near_duplicates": "exclude"}, [0, 0], [[0, 1], [2, 3]]),
        ({"near_duplicates": "exclude", "same_camera": "keep"}, [1, 1], [[1], [3]]),
    ],
)
def test_options_of_the_query_set(options, n_relevant, junk):
    """Base items are 0 to 3; each option decides alone."""
    actual = truth_of(everything(), QuerySet(**options))

    assert actual.n_relevant.tolist() == n_relevant
    assert actual.query_rows.tolist() == [0, 1]
    assert actual.base_rows.tolist() == [2, 3, 4, 5]
    if junk is None:
        assert actual.junk is None
    else:
        assert [
            one.tolist() for one in np.split(actual.junk.items, actual.junk.starts[1:-1])
        ] == junk


@pytest.mark.parametrize(
    ("options", "n_relevant", "n_junk"),
    [
        ({}, [1, 0, 1, 2, 0, 0], [1, 1, 1, 0, 1, 0]),
        ({"same_camera": "keep"}, [2, 1, 2, 2, 1, 0], None),
        ({"near_duplicates": "exclude"}, [0, 0, 1, 1, 0, 0], [2, 2, 1, 1, 1, 1]),
        ({"labels": "coarse", "same_camera": "keep"}, [4, 4, 4, 4, 4, 0], None),
    ],
)
def test_options_of_the_full_base(options, n_relevant, n_junk):
    """Every item is a query; itself it is neither relevant nor junk."""
    actual = truth_of(everything(), FullBase(**options))

    assert actual.n_relevant.tolist() == n_relevant
    assert (None if actual.junk is None else actual.junk.counts.tolist()) == n_junk


def test_the_same_queries_are_drawn_whatever_labels_decide():
    """Fine and coarse numbers of one run are of the same queries."""
    data = dataset("aabbccdd", more_labels={"coarse": LabelSets.of("xxxxyyyy")})

    fine, coarse = (truth_of(data, QuerySet(labels=name)) for name in ("fine", "coarse"))

    assert fine.query_rows.tolist() == coarse.query_rows.tolist()
    assert fine.n_relevant.tolist() == [1] * 4
    assert coarse.n_relevant.tolist() == [2] * 4


@pytest.mark.parametrize("protocol", [FullBase, QuerySet])
def test_graded_relevance_is_asked_for(protocol):
    """By default an item that shares a label is as good as any."""
    data = dataset([("a", "b"), ("a", "b"), ("a",), ("b", "c")])

    assert truth_of(data, protocol(graded=True)).graded
    assert not truth_of(data, protocol()).graded


def judged(**more):
    """Return two queries with lists, two base items that are in them and a distractor."""
    lists = {
        "easy": ItemLists.of([[], [3], [], [], [], []]),
        "hard": ItemLists.of([[], [], [4], [], [], []]),
        "junk": ItemLists.of([[], [4], [], [], [], []]),
    }
    return dataset(
        ["-", "a", "a", "a", "b", "distractor"],
        roles=[Role.ANY, Q, Q, B, B, B],
        splits=[0, 2, 2, 2, 2, 2],
        judgements=Judgements(**lists),
        **more,
    )


@pytest.mark.parametrize(
    ("difficulty", "n_relevant", "junk"),
    [
        ("easy", [1, 0], [[1], [1]]),
        ("medium", [1, 1], [[1], []]),
        ("hard", [0, 1], [[0, 1], []]),
    ],
)
def test_lists_of_people_are_in_the_place_of_labels(difficulty, n_relevant, junk):
    """Rows of the data set become ids of the base."""
    actual = truth_of(judged(), QuerySet(difficulty=difficulty))

    assert actual.n_relevant.tolist() == n_relevant
    assert [one.tolist() for one in np.split(actual.junk.items, actual.junk.starts[1:-1])] == junk
    assert actual.base_rows.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("data", "protocol", "words"),
    [
        (dataset("aabb"), QuerySet(labels="coarse"), "no labels called 'coarse'.* Known: fine"),
        (dataset("aabb"), FullBase(labels="coarse"), "no labels called 'coarse'"),
        (dataset("aabb"), QuerySet(same_camera="keep"), "tells of no cameras"),
        (dataset("aabb"), FullBase(near_duplicates="exclude"), "nobody has looked for them"),
        (dataset("aabb"), QuerySet(difficulty="hard"), "difficulty = 'hard' changes nothing"),
        (judged(), FullBase(), 'Use the protocol "query-set"'),
        (judged(), QuerySet(graded=True), "graded = True changes nothing"),
        (judged(), QuerySet(labels="coarse"), "labels = 'coarse' changes nothing"),
        (
            judged(groups=np.arange(6)),
            QuerySet(near_duplicates="exclude"),
            "near_duplicates = 'exclude' changes nothing",
        ),
    ],
)
def test_an_option_without_effect_is_refused(data, protocol, words):
    """A sweep over it would show the same numbers twice, and a reader would take them for a finding."""
    with pytest.raises(DataError, match=words):
        truth_of(data, protocol)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        (QuerySet(), '{"query_fraction":0.2,"seed":0}'),
        (FullBase(), '{"n_queries":0,"seed":0}'),
        (FullBase(labels="coarse"), '{"labels":"coarse","n_queries":0,"seed":0}'),
    ],
)
def test_settings_of_before_keep_their_keys(protocol, options):
    """What was measured before the options came is not measured again."""
    assert setting_of("p", protocol).options == options


def test_points_of_a_sweep_are_told_apart():
    """Reports show what differs from the default."""
    name = describe("full-base", FullBase(labels="coarse", near_duplicates="exclude"))

    assert name == "full-base(labels=coarse, near_duplicates=exclude)"


def test_junk_is_told():
    """How many queries have it, and how much: it shortens rankings."""
    summary = summarise(truth_of(everything(), QuerySet(near_duplicates="exclude")))

    assert (summary.n_with_junk, summary.most_junk) == (2, 2)
    assert summary.notes()[-1] == (
        "2 of 2 queries have junk in the base, up to 2 items: it is removed from a ranking before "
        "anything is counted."
    )


def test_grades_that_are_all_alike_are_told():
    """graded = true would look like a finding."""
    (note,) = summarise(truth_of(dataset("aabb"), FullBase(graded=True))).notes()

    assert "only one grade" in note


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([-1, 3, 3, 8, 8, 8], "5 of 6 items .* in 2 groups of up to 3"),
        ([-1, 3, 3], "2 of 3 items .* in 1 group of up to 2"),
        ([-1, -1, 7], "None of 3 items"),
    ],
)
def test_near_duplicates_are_told(groups, words):
    """Also that somebody has looked and found none; a group of one is none."""
    actual = group_note(np.array(groups))

    assert re.search(words, actual)
