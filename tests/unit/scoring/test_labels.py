"""Labels as people have them: one is never taken for another, and none is made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.files.columns import as_numbers
from cbir_bench.scoring.labels import as_codes, as_labels, label_sets


def test_numbers_that_float32_takes_for_one_stay_two():
    """2^24 and 2^24 + 1 are one class for those who cast labels to float32."""
    actual = as_labels(np.array([2**24, 2**24 + 1]), "labels")

    assert label_sets([actual])[0].codes.tolist() == [0, 1]


@pytest.mark.parametrize(
    "values",
    [
        [3, 10, 3],
        np.array([3.0, 10.0, 3.0]),
        ["3", "10", "3"],
        np.array(["3", "10", "3"], object),
        np.array([b"3", b"10", b"3"]),
        pd.Series([3, 10, 3], dtype="Int64"),
        np.array([[3], [10], [3]]),
        [[3], [10], [3]],
        ({"3"}, {"10"}, {"3"}),
    ],
    ids=str,
)
def test_however_they_are_written_they_are_the_same(values):
    """3 in one file and "3" in another are the same label."""
    first, second = label_sets([as_labels(values, "labels"), as_labels([3, 10, 3], "labels")])

    np.testing.assert_array_equal(first.codes, second.codes)
    assert set(first.names) == {"3", "10"}


def test_a_leading_zero_makes_a_name():
    """007 is not 7 unless somebody says so."""
    column = as_numbers(np.array(["007", "7"], object))

    assert len(label_sets([as_labels(column, "labels")])[0].names) == 2


@pytest.mark.parametrize("gap", [None, np.nan, "", " ", pd.NA])
def test_what_is_missing_is_no_label(gap):
    """Else all items without a label would be relevant to each other."""
    with pytest.raises(
        InvalidArrayError, match="1 of 3 labels are missing, the first is that of row 1"
    ):
        as_labels(["a", gap, "b"], "labels")


def test_several_labels_of_an_item_count_once_each():
    """A label that is given twice is one."""
    sets = label_sets([as_labels([["b", "a", "b"], ["a"]], "labels")])[0]

    assert sets.codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 5, -3, 5], [0, 1, -1, 1]),
        (np.array([0.0, 5.0, np.nan, 5.0]), [0, 1, -1, 1]),
        (np.array([0.0, 5.0, -1.0, 5.0]), [0, 1, -1, 1]),
        (["x", "y", "", "y"], [0, 1, -1, 1]),
        (["x", "y", None, "y"], [0, 1, -1, 1]),
    ],
    ids=str,
)
def test_no_camera_is_no_camera(values, expected):
    """Two items of unknown cameras were not taken by the same."""
    codes = as_codes([values], "cameras")[0]

    known = codes[codes >= 0]
    assert (codes < 0).tolist() == [one < 0 for one in expected]
    assert known[0] != known[1] == known[2]


def test_cameras_of_two_sides_have_the_same_codes():
    """Camera 2 of a query is camera 2 of the base."""
    queries, base = as_codes([["b", "a"], ["a", "b", ""]], "cameras")

    assert queries.tolist() == base[1::-1].tolist()


def test_bytes_that_are_no_text_are_refused():
    """A binary column of a table."""
    with pytest.raises(InvalidArrayError, match="row 1, which is no text in UTF-8"):
        as_labels(np.array([b"a", b"\xff"]), "labels")
