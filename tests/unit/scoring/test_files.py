"""Tables of vectors: a column that is no dimension never becomes one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.errors import DataError
from cbir_bench.scoring.files import read_columns, read_vectors

VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_ids_labels_and_row_numbers_are_no_dimensions(tmp_path, ending):
    """pandas writes the numbers of rows into the first column unless it is told not to."""
    frame = pd.DataFrame(VECTORS, columns=["d0", "d1", "d2"]).assign(
        id=list("abcde"), label=1, camera=2, coarse=3
    )
    path = tmp_path / f"t.{ending}"
    frame.to_csv(path) if ending == "csv" else frame.to_parquet(path)

    actual, rest = read_vectors(str(path), ("coarse",))

    np.testing.assert_array_equal(actual.astype(np.float32), VECTORS)
    assert rest.ids() == tuple("abcde")


def test_a_column_that_is_called_otherwise_is_refused(tmp_path):
    """A numeric label beside dimensions would be searched with, and find itself."""
    path = tmp_path / "t.csv"
    pd.DataFrame(VECTORS, columns=["d0", "d1", "d2"]).assign(kind=1).to_csv(path, index=False)

    with pytest.raises(DataError, match=r"'kind'.*--label-column"):
        read_vectors(str(path))


def test_a_file_of_numbers_alone_has_no_header(tmp_path):
    """numpy.savetxt writes none, and no vector may be lost for it."""
    path = tmp_path / "t.csv"
    np.savetxt(path, VECTORS, delimiter=",")

    actual, _ = read_vectors(str(path))

    np.testing.assert_allclose(actual, VECTORS)


@pytest.mark.parametrize("kind", ["list", "fixed"])
def test_one_column_of_lists_is_a_matrix(tmp_path, kind):
    """Arrow has lists of any length, and of one."""
    import pyarrow as pa
    from pyarrow import parquet

    flat = pa.array(VECTORS.ravel())
    column = pa.array(VECTORS.tolist(), pa.list_(pa.float32()))
    if kind == "fixed":
        column = pa.FixedSizeListArray.from_arrays(flat, 3)
    parquet.write_table(
        pa.table({"embedding": column, "note": list("abcde")}), tmp_path / "t.parquet"
    )

    actual, _ = read_vectors(str(tmp_path / "t.parquet"))

    np.testing.assert_array_equal(actual, VECTORS)


def test_numbers_of_a_table_of_text_stay_as_they_are_written(tmp_path):
    """007 is a name, and so is 1e3."""
    (tmp_path / "t.csv").write_text("id,label\n1,007\n2,1e3\n")

    actual = read_columns(str(tmp_path / "t.csv"))

    assert list(actual.get("label")) == ["007", "1e3"]


def test_lists_of_different_length_are_refused(tmp_path):
    """One of the vectors is of another model."""
    pd.DataFrame({"v": [[1.0], [1.0, 2.0]]}).to_parquet(tmp_path / "t.parquet")

    with pytest.raises(DataError, match="2 different lengths"):
        read_vectors(str(tmp_path / "t.parquet"))


def test_lists_of_labels_are_several_labels(tmp_path):
    """A Parquet column may hold a list for each item."""
    pd.DataFrame({"label": [["a", "b"], ["a"]]}).to_parquet(tmp_path / "t.parquet")

    assert read_columns(str(tmp_path / "t.parquet")).get("label") == [["a", "b"], ["a"]]


@pytest.mark.parametrize(
    ("arrays", "key", "words"),
    [
        ({"a": VECTORS, "b": VECTORS}, "", "2 arrays that could be vectors: a, b"),
        ({"embeddings": VECTORS}, ":embedings", "Did you mean 'embeddings'"),
        ({}, "", "0 arrays"),
    ],
)
def test_an_archive_of_several_arrays_needs_a_key(tmp_path, arrays, key, words):
    """Any of them could be meant."""
    np.savez(tmp_path / "t.npz", **arrays)

    with pytest.raises(DataError, match=words):
        read_vectors(f"{tmp_path / 't.npz'}{key}")
