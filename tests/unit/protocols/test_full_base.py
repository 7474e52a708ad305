"""Leave-one-out: every item a query, itself never a result."""

from __future__ import annotations

import pytest
from unit.protocols.items import dataset

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.protocols.full_base import FullBase
from cbir_bench.protocols.summary import summarise


def truth_of(data, **options):
    """Return the ground truth of the test split."""
    return FullBase(**options).ground_truth(data, data.rows(Split.TEST))


def test_every_item_is_a_query_but_not_its_own_result():
    """The relevant items of a class of three are two."""
    actual = truth_of(dataset("abaab"))

    assert actual.query_rows.tolist() == actual.base_rows.tolist() == [0, 1, 2, 3, 4]
    assert actual.self_ids.tolist() == [0, 1, 2, 3, 4]
    assert actual.n_relevant.tolist() == [2, 1, 2, 2, 1]
    assert actual.leave_one_out


def test_rows_are_positions_in_the_test_split():
    """Embeddings hold the test split alone."""
    actual = truth_of(dataset("xabxa", splits=[0, 2, 2, 1, 2]))

    assert actual.base_rows.tolist() == [0, 1, 2]
    assert actual.n_relevant.tolist() == [1, 0, 1]


def test_roles_play_no_part():
    """They belong to the other protocol."""
    data = dataset("aab", [Role.QUERY, Role.BASE, Role.BASE])

    assert truth_of(data).query_rows.tolist() == [0, 1, 2]


def test_a_sample_of_queries_searches_the_whole_base():
    """Each still leaves out itself, by its id in the base."""
    actual = truth_of(dataset("ab" * 20), n_queries=7)

    assert len(actual.query_rows) == 7
    assert (actual.query_rows[1:] > actual.query_rows[:-1]).all()
    assert actual.self_ids.tolist() == actual.query_rows.tolist()
    assert len(actual.base_rows) == 40
    assert actual.n_relevant.tolist() == [19] * 7


def test_samples_differ_by_seed_and_are_nested():
    """A larger sample contains the smaller one."""
    data = dataset("ab" * 20)

    small, large = truth_of(data, n_queries=5), truth_of(data, n_queries=15)
    other = truth_of(data, n_queries=5, seed=1)

    assert set(small.query_rows) < set(large.query_rows)
    assert set(small.query_rows) != set(other.query_rows)


@pytest.mark.parametrize("n_queries", [0, 6, 100])
def test_as_many_queries_as_items_are_all_items(n_queries):
    """More than there are is all there are."""
    assert len(truth_of(dataset("aabbcc"), n_queries=n_queries).query_rows) == 6


def test_a_single_item_is_an_error():
    """It has nothing to find."""
    with pytest.raises(DataError, match="has 1 item"):
        truth_of(dataset("ab", splits=[0, 2]))


def test_queries_with_nothing_to_find_are_counted():
    """A label with a single image is reported, never averaged as 0."""
    summary = summarise(truth_of(dataset("aaabbc")))

    assert (summary.n_queries, summary.n_base, summary.n_without_relevant) == (6, 6, 1)
    assert (summary.least_relevant, summary.most_relevant) == (1, 2)
    assert summary.notes() == (
        "1 of 6 queries has nothing relevant in the base and no part in any average.",
    )


def test_a_plain_data_set_needs_no_note():
    """Silence means that nothing was left out."""
    assert summarise(truth_of(dataset("aabb"))).notes() == ()


def test_nothing_to_find_at_all_is_said():
    """Every class with one image: all label metrics stay empty."""
    (note,) = summarise(truth_of(dataset("abc"))).notes()

    assert "3 of 3" in note
    assert "no label metric has a value" in note


def test_protocols_are_found_by_name():
    """As suite files write them."""
    assert PROTOCOLS["full-base"] is FullBase
