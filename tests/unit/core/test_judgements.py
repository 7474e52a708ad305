"""Easy, hard and junk become relevant and junk, as Radenovic et al. (CVPR 2018) say."""

from __future__ import annotations

import pytest

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements, landmark_of


def judgements(easy, hard, junk) -> Judgements:
    """Return the judgements of some queries."""
    return Judgements(easy=ItemLists.of(easy), hard=ItemLists.of(hard), junk=ItemLists.of(junk))


@pytest.mark.parametrize(
    ("difficulty", "relevant", "junk"),
    [
        ("easy", [4], [0, 2, 5]),
        ("medium", [0, 4, 5], [2]),
        ("hard", [0, 5], [2, 4]),
    ],
)
def test_what_is_not_asked_for_is_junk_and_never_wrong(difficulty, relevant, junk):
    """Taking hard items for wrong ones under Easy would punish a system for finding them."""
    actual = judgements([[4]], [[5, 0]], [[2]]).at(difficulty)

    assert actual.relevant.items.tolist() == relevant
    assert actual.junk.items.tolist() == junk


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (([[1], [3]], [[2], [3]], [[], []]), "query 1 is in its easy list and in its hard list"),
        (([[1]], [[2]], [[1]]), "query 0 is in its easy list and in its junk list"),
        (([[1]], [[2]], [[2]]), "query 0 is in its hard list and in its junk list"),
        (([[1]], [[2], []], [[]]), "easy items of 1 queries, hard ones of 2"),
    ],
)
def test_judgements_that_contradict_are_refused(lists, words):
    """An item cannot be relevant and junk."""
    with pytest.raises(InvalidArrayError, match=words):
        judgements(*lists)


@pytest.mark.parametrize(
    ("name", "landmark"),
    [
        ("all_souls_000013", "all_souls"),
        ("paris_defense_000605", "paris_defense"),
        ("000013", "000013"),
        ("tower", "tower"),
        ("_7", "_7"),
    ],
)
def test_a_landmark_is_a_name_without_its_number(name, landmark):
    """A name that is nothing but a number stays."""
    assert landmark_of(name) == landmark
