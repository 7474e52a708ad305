"""Rows out of files that are larger than memory."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.core.errors import DataError
from cbir_bench.files import tables, vector_table
from cbir_bench.files.reading import read_item_columns
from cbir_bench.files.vector_table import open_vectors

VECTORS = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)


@pytest.fixture
def parquet(tmp_path, monkeypatch):
    """Return what writes a Parquet file in groups of rows, read a few rows at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.setattr(vector_table, "_ROWS_AT_ONCE", 4)

    def write(vectors=VECTORS, kind=None, **columns):
        lists = pa.array([list(map(float, one)) for one in vectors], kind or pa.list_(pa.float32()))
        path = tmp_path / "e.parquet"
        parquet.write_table(pa.table({"emb": lists, **columns}), path, row_group_size=10)
        return path

    return write


@pytest.mark.parametrize(
    "rows", [[], [0], [49, 0, 25, 25], range(50), range(49, -1, -1), [9, 10, 11], [3, 4]]
)
def test_any_rows_of_a_column_of_lists(parquet, rows):
    """Whatever the groups of the file, and the pieces that are read."""
    actual = open_vectors(str(parquet())).take(np.array(list(rows), np.int64))

    np.testing.assert_array_equal(actual, VECTORS[list(rows)])


def test_groups_without_a_wanted_row_are_not_read(parquet, monkeypatch):
    """One split of a file of many."""
    table = open_vectors(str(parquet()))
    seen = []
    matrix_of_lists = tables.matrix_of_lists

    def watched(column, name, path):
        seen.append(len(column))
        return matrix_of_lists(column, name, path)

    monkeypatch.setattr(vector_table, "matrix_of_lists", watched)
    table.take(np.array([12, 31]))

    assert sum(seen) == 20


@pytest.mark.parametrize(
    "kind",
    [
        lambda pa: pa.list_(pa.int8()),
        lambda pa: pa.list_(pa.float64(), 3),
        lambda pa: pa.large_list(pa.float16()),
    ],
    ids=["bytes", "doubles", "halves"],
)
def test_lists_of_any_numbers(parquet, kind):
    """However vectors are kept."""
    import pyarrow as pa

    numbers = np.rint(VECTORS * 20)

    actual = open_vectors(str(parquet(numbers, kind(pa))))

    np.testing.assert_array_equal(actual.take(np.arange(50)), numbers)


def test_columns_beside_the_lists_are_there(parquet):
    """All but the vectors."""
    path = parquet(id=list(map(str, range(50))), label=["a"] * 50, tags=[["x"]] * 50)

    for columns in (open_vectors(str(path)).columns, read_item_columns(str(path))):
        assert set(columns.columns) == {"id", "label", "tags"}
        assert columns.ids()[:2] == ("0", "1")


@pytest.mark.parametrize(
    ("row", "value", "words"),
    [(30, [1.0], "different length"), (44, None, "holds nothing in 1 of")],
)
def test_rows_of_another_length_are_refused(parquet, row, value, words):
    """Vectors of two models, or a missing one; also where each piece is in itself alike."""
    vectors = VECTORS.tolist()
    vectors[row] = value
    if value is not None:
        vectors[30:40] = [value] * 10
    import pyarrow as pa
    from pyarrow import parquet as writer

    path = parquet()
    writer.write_table(pa.table({"emb": vectors}), path, row_group_size=10)

    with pytest.raises(DataError, match=words):
        open_vectors(str(path)).take(np.arange(50))


def test_a_damaged_file_is_a_sentence(parquet):
    """Its end may be whole and its middle not."""
    path = parquet()
    content = bytearray(path.read_bytes())
    content[4:300] = bytes(296)
    path.write_bytes(content)

    with pytest.raises(DataError, match="cannot be read"):
        open_vectors(str(path)).take(np.arange(50))


def test_ten_million_vectors_are_not_read_for_three(tmp_path):
    """They are 20 GB, here of zeros that take no room."""
    path = tmp_path / "v.npy"
    sparse = np.lib.format.open_memmap(path, "w+", np.float32, (10_000_000, 512))
    sparse[9_999_998, 0] = sparse[3, 0] = sparse[2, 0] = 1
    sparse.flush()
    del sparse

    actual = open_vectors(str(path)).take(np.array([9_999_998, 3, 2]))

    assert actual.shape == (3, 512)
    assert (actual[:, 0] == 1).all()


def test_a_table_of_dimensions_has_rows_as_well(tmp_path):
    """One column for each number."""
    import pandas as pd

    frame = pd.DataFrame(VECTORS, columns=["d0", "d1", "d2"])
    frame.assign(id=range(50), note="x").to_parquet(tmp_path / "e.parquet")

    actual = open_vectors(str(tmp_path / "e.parquet"), ("note",))

    np.testing.assert_array_equal(actual.take(np.array([3, 1])), VECTORS[[3, 1]])
    assert actual.columns.ids()[0] == "0"
