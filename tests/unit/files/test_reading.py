"""Tables of vectors: a column that is no dimension never becomes one."""

from __future__ import annotations

import zipfile

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.errors import DataError, InvalidArrayError
from cbir_bench.files.reading import read_columns, read_ids, read_vectors
from cbir_bench.scoring.labels import as_labels

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


@pytest.mark.parametrize("kind", ["text", "number"])
def test_a_missing_category_is_missing(tmp_path, kind):
    """pandas keeps labels as categories; NumPy would take the missing one for the last of them."""
    values = ["a", None, "b"] if kind == "text" else [1, None, 2]
    pd.DataFrame({"label": pd.Categorical(values)}).to_parquet(tmp_path / "t.parquet")

    column = read_columns(str(tmp_path / "t.parquet")).get("label")

    with pytest.raises(
        InvalidArrayError, match="1 of 3 labels are missing, the first is that of row 1"
    ):
        as_labels(column, "labels")


def test_whole_numbers_alone_have_no_header(tmp_path):
    """Else the first vector and the first label would be lost together, and nobody would notice."""
    np.savetxt(tmp_path / "v.csv", VECTORS * 10, fmt="%d", delimiter=",")
    (tmp_path / "y.csv").write_text("007\n7\n7\n")

    vectors, _ = read_vectors(str(tmp_path / "v.csv"))
    labels = read_columns(str(tmp_path / "y.csv"))

    assert vectors.tolist() == (VECTORS * 10).astype(int).tolist()
    assert next(iter(labels.columns.values())).tolist() == ["007", "7", "7"]


def test_a_header_that_counts_columns_is_one(tmp_path):
    """So pandas calls columns that have no names."""
    pd.DataFrame(VECTORS).to_csv(tmp_path / "t.csv", index=False)

    actual, _ = read_vectors(str(tmp_path / "t.csv"))

    np.testing.assert_allclose(actual, VECTORS, rtol=1e-6)


def test_lists_of_whole_numbers_are_vectors(tmp_path):
    """Embeddings in 8 bits."""
    codes = np.arange(15, dtype=np.int8).reshape(5, 3)
    pd.DataFrame({"embedding": codes.tolist()}).to_parquet(tmp_path / "t.parquet")

    actual, _ = read_vectors(str(tmp_path / "t.parquet"))

    assert actual.tolist() == codes.tolist()


def test_a_table_without_vectors_is_refused(tmp_path):
    """The table of labels, given twice."""
    pd.DataFrame({"id": ["a"], "label": [1]}).to_csv(tmp_path / "t.csv", index=False)

    with pytest.raises(DataError, match="no column of vectors"):
        read_vectors(str(tmp_path / "t.csv"))


def test_a_missing_id_is_refused(tmp_path):
    """It would make names of all other numbers fractions."""
    pd.DataFrame({"id": [1, None, 3], "label": [1, 2, 3]}).to_parquet(tmp_path / "t.parquet")

    with pytest.raises(DataError, match="no id in 1 of 3 rows, the first is row 1"):
        read_columns(str(tmp_path / "t.parquet")).ids()


def test_large_numbers_beside_a_missing_one_are_read(tmp_path):
    """Arrow refuses to make a float of 2^53 + 1; that a label is missing is said all the same."""
    labels = pd.array([2**53 + 1, None], "Int64")
    pd.DataFrame({"label": labels}).to_parquet(tmp_path / "t.parquet")

    column = read_columns(str(tmp_path / "t.parquet")).get("label")

    assert np.isnan(column).tolist() == [False, True]


def _encrypted(archive):
    """Return the bytes of a ZIP archive whose only member says that it is encrypted."""
    data = bytearray(archive)
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize("what", ["header", "encrypted"])
def test_what_numpy_cannot_decode_is_a_sentence(tmp_path, what):
    """NumPy answers broken bytes with whatever comes up, even with an error of the tokenizer."""
    path = tmp_path / ("t.npy" if what == "header" else "t.npz")
    if what == "header":
        path.write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': os.system, 'shape'".ljust(118))
    else:
        np.savez(path, v=VECTORS)
        path.write_bytes(_encrypted(path.read_bytes()))

    with pytest.raises(DataError, match="cut off or damaged"):
        read_vectors(str(path))


def test_a_single_number_is_no_matrix(tmp_path):
    """numpy.save writes one without a word."""
    np.save(tmp_path / "t.npy", 3.0)

    with pytest.raises(DataError, match="a single float64"):
        read_vectors(str(tmp_path / "t.npy"))


def test_an_archive_may_hold_other_files(tmp_path):
    """They are no arrays."""
    np.savez(tmp_path / "t.npz", v=VECTORS)
    with zipfile.ZipFile(tmp_path / "t.npz", "a") as archive:
        archive.writestr("readme.txt", "vectors")

    actual, _ = read_vectors(str(tmp_path / "t.npz"))

    np.testing.assert_array_equal(actual, VECTORS)


@pytest.mark.parametrize(
    "starts",
    [
        np.arange(6.0),
        np.array(3),
        np.arange(6)[:, None],
        np.array(list("abcdef")),
        np.arange(6)[::-1],
        np.arange(6) - 5,
        np.arange(6) * 100,
        np.arange(5),
        np.array([0, 3, 2, 4, 4, 5]),
        np.empty(0, np.int64),
    ],
    ids=range(10),
)
def test_starts_that_divide_no_labels_are_a_sentence(tmp_path, starts):
    """Python would count from the end, or give items no label at all."""
    path = tmp_path / "e.npz"
    np.savez(path, vectors=VECTORS, labels=list("abcde"), label_starts=starts)

    with pytest.raises(DataError, match=r"'label_starts' .* does not say which of the labels"):
        read_vectors(str(path))


def test_starts_divide_labels(tmp_path):
    """Whole numbers of any type; several labels, one, or none."""
    path = tmp_path / "e.npz"
    starts = np.array([0, 2, 2, 3, 4, 5], np.uint8)
    np.savez(path, vectors=VECTORS, labels=list("abcde"), label_starts=starts)

    actual = read_vectors(str(path))[1].get("label")

    assert actual == [("a", "b"), (), ("c",), ("d",), ("e",)]


def test_starts_of_labels_that_are_no_list_are_a_sentence(tmp_path):
    """A matrix of labels is not a row of them."""
    path = tmp_path / "e.npz"
    np.savez(path, vectors=VECTORS, labels=np.ones((5, 2)), label_starts=np.arange(6))

    with pytest.raises(DataError, match="'label_starts'"):
        read_vectors(str(path))


@pytest.mark.parametrize("name", ["id", "ids"])
def test_ids_may_be_a_matrix_of_one_column(tmp_path, name):
    """So come those that were a column of a table."""
    np.savez(tmp_path / "e.npz", vectors=VECTORS, **{name: np.array(list("abcde"))[:, None]})

    actual, columns = read_vectors(str(tmp_path / "e.npz"))

    np.testing.assert_array_equal(actual, VECTORS)
    assert columns.ids() == tuple("abcde")


def test_several_ids_of_an_item_are_refused(tmp_path):
    """Any of them could be meant."""
    np.savez(tmp_path / "e.npz", vectors=VECTORS, ids=np.array(["ab"] * 10).reshape(5, 2))

    with pytest.raises(DataError, match=r"ids of shape \(5, 2\)\. Give each item one"):
        read_vectors(str(tmp_path / "e.npz"))[1].ids()


def test_columns_are_not_among_what_could_be_vectors(tmp_path):
    """A message that suggests the ids sends people the wrong way."""
    arrays = {"a": VECTORS, "b": VECTORS, "ids": list("abcde"), "groups": np.ones((5, 2))}
    np.savez(tmp_path / "e.npz", **arrays)

    with pytest.raises(DataError, match=r"has 2 arrays that could be vectors: a, b\. Name one"):
        read_vectors(str(tmp_path / "e.npz"))


def test_an_array_of_another_shape_is_what_was_meant(tmp_path):
    """Whoever wants a matrix then says which shape was found."""
    np.savez(tmp_path / "e.npz", vectors=VECTORS[:, None], notes=list("abcde"), ids=list("abcde"))

    assert read_vectors(str(tmp_path / "e.npz"))[0].shape == (5, 1, 3)


def test_ids_of_bytes_are_text(tmp_path):
    """h5py and older NumPy have them so."""
    ids = ["ä/1.jpg", "b", "c", "d", "e"]
    np.savez(tmp_path / "e.npz", vectors=VECTORS, ids=np.array([one.encode() for one in ids]))

    actual = read_vectors(str(tmp_path / "e.npz"))[1].ids()

    assert actual == tuple(ids)


def test_ids_of_other_bytes_are_refused(tmp_path):
    """Latin-1, or something that is no text at all."""
    np.savez(tmp_path / "e.npz", vectors=VECTORS, ids=np.array([b"\xe4", b"b", b"c", b"d", b"e"]))

    with pytest.raises(DataError, match="is no text in UTF-8"):
        read_vectors(str(tmp_path / "e.npz"))[1].ids()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_a_name_ends_where_its_line_does(tmp_path, end, last):
    """Names may hold what Unicode calls a line's end; half of one is nobody's."""
    names = ("a\u2028b", "c\x85d", "e\x0cf", "g\rh", " i")
    text = end.join(names) + end * last
    (tmp_path / "ids.txt").write_bytes(text.encode())

    assert read_ids(str(tmp_path / "ids.txt")) == names


def test_an_empty_file_has_no_ids(tmp_path):
    """It is not one item without a name."""
    (tmp_path / "ids.txt").write_bytes(b"")

    assert read_ids(str(tmp_path / "ids.txt")) == ()
