"""A ranking that breaks a promise is refused where it is made."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.ranking import PositiveRanks, Ranking


def ranking(*rows, n_base=9):
    return Ranking(ids=np.array(rows, np.int64), n_base=n_base)


def test_padded_tails_are_fine():
    """Fewer results than asked for, or none at all."""
    actual = ranking([3, 1, -1], [-1, -1, -1])

    assert actual.ids.shape == (2, 3)


def test_an_item_returned_twice_is_refused():
    """It would count twice in recall."""
    with pytest.raises(InvalidArrayError, match="Query 1 retrieves an item twice"):
        ranking([0, 1, 2], [4, 5, 4])


def test_the_same_item_for_two_queries_is_fine():
    """Only within a row does it count twice."""
    assert ranking([0, 1], [0, 1]).n_base == 9


@pytest.mark.parametrize("wrong", [9, -2, 2**40])
def test_an_id_outside_of_the_base_is_refused(wrong):
    """It stands for no item; the message says which id it was."""
    with pytest.raises(InvalidArrayError, match=f"holds the id {wrong}, but the base has 9"):
        ranking([0, wrong])


def test_a_gap_before_the_last_result_is_refused():
    """Later results would be ranked too low."""
    with pytest.raises(InvalidArrayError, match="query 1 has a gap"):
        ranking([0, 1, 2], [4, -1, 5])


@pytest.mark.parametrize("ids", [np.zeros(3, np.int64), np.zeros((3, 1), np.int32)])
def test_another_shape_or_type_is_refused(ids):
    """uint64 ids would make a padding of -1 the largest number there is."""
    with pytest.raises(InvalidArrayError, match="int64 is needed"):
        Ranking(ids=ids, n_base=9)


def test_positive_ranks_of_hits():
    """Ranks from 1, row after row, rows without hits included."""
    hits = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], bool)

    actual = PositiveRanks.from_hits(hits, np.array([2, 5, 1]))

    assert actual.ranks.tolist() == [2, 3, 1]
    assert actual.starts.tolist() == [0, 2, 2, 3]
    assert actual.n_relevant.tolist() == [2, 5, 1]
    assert actual.depth == 3
    assert len(actual) == 3


def test_positive_ranks_of_no_queries():
    """Zero rows are rows, too."""
    actual = PositiveRanks.from_hits(np.zeros((0, 4), bool), np.zeros(0, np.int64))

    assert (len(actual), actual.starts.tolist(), actual.depth) == (0, [0], 4)
