"""Labels as compressed rows, and the promises of a data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.protocols.items import dataset

from cbir_bench.core.dataset import DataContext, LabelSets, Split
from cbir_bench.core.errors import DataError

label_sets = st.lists(
    st.lists(st.text("abcd", min_size=1, max_size=2), min_size=1, max_size=4), max_size=9
)


def names_of(labels):
    """Return the label names of every item as sets."""
    return [
        {labels.names[c] for c in labels.codes[labels.starts[i] : labels.starts[i + 1]]}
        for i in range(len(labels))
    ]


@given(sets=label_sets)
def test_labels_come_back(sets):
    """Repeated names count once; codes are ascending within an item."""
    actual = LabelSets.of(sets)

    assert names_of(actual) == [set(one) for one in sets]
    assert list(actual.names) == sorted({name for one in sets for name in one})
    assert all((np.diff(codes) > 0).all() for codes in np.split(actual.codes, actual.starts[1:-1]))


@given(sets=label_sets.filter(bool), data=st.data())
def test_taking_rows_keeps_their_labels_and_codes(sets, data):
    """Also twice, in any order, or none."""
    labels = LabelSets.of(sets)
    rows = data.draw(st.lists(st.integers(0, len(sets) - 1)))

    actual = labels.take(np.array(rows, np.int64))

    assert names_of(actual) == [set(sets[row]) for row in rows]
    assert actual.names == labels.names


def test_a_plain_string_is_one_label():
    """And not as many as it has letters."""
    labels = LabelSets.of(["cat", "dog", "cat"])

    assert labels.single
    assert labels.first().tolist() == [0, 1, 0]


def test_several_labels_are_not_single():
    """Neither are as many labels as items, if they lie unevenly."""
    assert not LabelSets.of([("a", "b"), "a"]).single


def test_an_item_without_a_label_is_refused():
    """The message says which."""
    with pytest.raises(DataError, match="Item 1 has no label"):
        LabelSets.of(["a", ()])


def test_two_items_with_one_id_are_refused():
    """Records name items by id."""
    with pytest.raises(DataError, match="have the id 'x'"):
        dataset("ab", ids=["x", "x"])


def test_nothing_to_search_is_refused():
    """A data set of training images has no result."""
    with pytest.raises(DataError, match="no item in its test split"):
        dataset("ab", splits=[0, 1])


def test_columns_of_different_length_are_refused():
    """Rows would be mixed up."""
    data = dataset("aab")

    with pytest.raises(DataError, match=r"different length: \[2, 3\]"):
        replace(data, roles=data.roles[:2])


def test_rows_of_a_split_are_ascending():
    """Embeddings follow their order."""
    assert dataset("abcd", splits=[2, 0, 1, 2]).rows(Split.TEST).tolist() == [0, 3]


@given(sets=label_sets)
def test_coarser_labels_are_the_renamed_ones(sets):
    """Labels that get one name are one; each item keeps what its labels became."""
    actual = LabelSets.of(sets).renamed(lambda name: name[0])

    assert names_of(actual) == [{name[0] for name in one} for one in sets]
    assert list(actual.names) == sorted({name[0] for one in sets for name in one})


def test_labels_are_found_by_name():
    """The data set's own are the fine ones; a typo is told with the nearest name."""
    coarse = LabelSets.of("xxy")
    data = dataset("abc", more_labels={"coarse": coarse})

    assert data.labels_called("fine") is data.labels
    assert data.labels_called("coarse") is coarse
    with pytest.raises(DataError, match=r"'corse'. Did you mean 'coarse'\? Known: fine, coarse"):
        data.labels_called("corse")


@pytest.mark.parametrize(
    "more",
    [
        {"cameras": np.zeros(3, np.int64)},
        {"groups": np.zeros(3, np.int64)},
        {"more_labels": {"coarse": LabelSets.of("xyz")}},
    ],
)
def test_what_is_known_of_items_is_known_of_all(more):
    """A camera too many would be another item's."""
    with pytest.raises(DataError, match=r"different length: \[2, 3\]"):
        dataset("ab", **more)


def test_files_are_looked_up_in_order(tmp_path):
    """The first folder that has it wins; an absolute path is itself."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "second" / "a.csv").touch()
    context = DataContext(folders=(tmp_path / "first", tmp_path / "second"), cache=tmp_path)

    assert context.find("a.csv") == tmp_path / "second" / "a.csv"
    assert context.find(str(tmp_path / "second")) == tmp_path / "second"
    with pytest.raises(DataError, match=r"There is no 'b\.csv'"):
        context.find("b.csv")
