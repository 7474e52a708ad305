"""What was learnt without gradients: there in full and verified, or not there."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.core.errors import DataError
from cbir_bench.run.learned import LearnedStore

ARRAYS = {"mean": np.arange(3.0), "words": np.ones((2, 3), np.float32)}


@pytest.fixture
def store(tmp_path):
    return LearnedStore(tmp_path / "learned")


def test_arrays_come_back_as_they_were_saved(store):
    """Names, types and shapes; views are written as they look."""
    store.save("abc", {**ARRAYS, "view": ARRAYS["words"].T}, {"seed": 1})

    actual = store.arrays("abc")

    assert store.has("abc")
    assert store.table("abc")["made_from"] == {"seed": 1}
    np.testing.assert_array_equal(actual["mean"], ARRAYS["mean"])
    np.testing.assert_array_equal(actual["view"], ARRAYS["words"].T)
    assert actual["words"].dtype == np.float32


@pytest.mark.parametrize("file", ["learned.safetensors", "learned.json"])
@pytest.mark.parametrize("content", [b"", b"[1]", None])
def test_a_damaged_file_is_refused(store, file, content):
    """A vocabulary with a flipped bit would give numbers that nobody could repeat."""
    path = store.save("abc", ARRAYS, {}).parent / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    with pytest.raises(DataError, match="damaged or incomplete"):
        store.path("abc")


def test_nothing_is_there_before_it_is_saved(store):
    """Also when the folder of all of them does not exist."""
    assert not store.has("abc")
