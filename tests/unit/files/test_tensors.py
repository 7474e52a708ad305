"""safetensors: whatever its own library writes is read, and nothing else passes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from cbir_bench.core.errors import DataError
from cbir_bench.files.reading import read_columns, read_vectors
from cbir_bench.files.tensors import read_tensors

VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


@pytest.fixture
def path(tmp_path):
    """Of a file."""
    return tmp_path / "e.safetensors"


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_read(path, kind):
    """Whatever NumPy has a name for."""
    array = (VECTORS * 9).astype(kind)
    save_file({"x": array}, path)

    actual = read_tensors(path).arrays["x"]

    assert actual.dtype == array.dtype
    np.testing.assert_array_equal(actual, array)


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3,), (2, 3, 4)])
def test_every_shape_is_read(path, shape):
    """Files hold more than matrices."""
    array = np.full(shape, 7, np.float32)
    save_file({"a": VECTORS, "x": array, "z": VECTORS}, path)

    actual = read_tensors(path).arrays

    assert actual["x"].shape == shape
    np.testing.assert_array_equal(actual["x"], array)
    np.testing.assert_array_equal(actual["z"], VECTORS)


def test_numbers_stay_on_disk(path):
    """Files may be larger than memory."""
    save_file({"x": VECTORS}, path)

    actual = read_tensors(path).arrays["x"]

    assert isinstance(actual, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        actual[0, 0] = 1


def test_ids_and_labels_are_in_the_metadata(path):
    """As JSON lists, since the format knows no texts among its arrays."""
    metadata = {"ids": json.dumps(list("abcde")), "labels": json.dumps([1, 1, 2, 2, 2])}
    save_file({"emb": VECTORS}, path, metadata)

    actual, columns = read_vectors(str(path))

    np.testing.assert_array_equal(actual, VECTORS)
    assert columns.ids() == tuple("abcde")
    assert list(columns.get("label")) == [1, 1, 2, 2, 2]


def test_labels_may_be_an_array(path):
    """Whole numbers, as torch users have them."""
    save_file({"emb": VECTORS, "labels": np.arange(5), "ids": np.arange(5) + 10}, path)

    _, columns = read_vectors(str(path))

    assert columns.ids() == ("10", "11", "12", "13", "14")
    assert read_columns(str(path)).get("label").tolist() == list(range(5))
    assert read_columns(f"{path}:labels").get("label").tolist() == list(range(5))


def test_one_of_several_matrices_needs_a_key(path):
    """Any of them could be meant; ids of another number are those of the other."""
    save_file({"base": VECTORS, "queries": VECTORS[:2], "ids": np.arange(5)}, path)

    with pytest.raises(DataError, match=r"2 arrays that could be vectors.*e\.safetensors:base"):
        read_vectors(str(path))
    assert read_vectors(f"{path}:base")[1].ids() == tuple("01234")
    actual, columns = read_vectors(f"{path}:queries")
    np.testing.assert_array_equal(actual, VECTORS[:2])
    assert columns.ids() is None


@pytest.mark.parametrize("text", ["[1, 2", '"a"', '{"a": 1}', "[" * 200_000], ids=range(4))
def test_metadata_that_is_no_list_is_refused(path, text):
    """Somebody's own notes."""
    save_file({"x": VECTORS}, path, {"ids": text})

    with pytest.raises(DataError, match="Write a JSON list"):
        read_vectors(str(path))


def test_as_many_ids_as_vectors(path):
    """A list of another split."""
    save_file({"x": VECTORS}, path, {"ids": json.dumps(list("abcd"))})

    with pytest.raises(DataError, match="5 vectors, but 4 entries of 'id'"):
        read_vectors(str(path))


def file_of(header, content=b"\0" * 60):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def told(**changes):
    return {"x": {"dtype": "F32", "shape": [5, 3], "data_offsets": [0, 60], **changes}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4 no such file",
        b"\x80\x04\x95 a pickle",
        struct.pack("<Q", 1 << 62),
        struct.pack("<Q", 50) + b"{}",
        file_of(b"{"),
        file_of(b"[]"),
        file_of({"x": 3}),
        file_of({"__metadata__": []}),
        file_of(told(dtype="F8_E4M3")),
        file_of(told(dtype=["F32"])),
        file_of(told(shape=[5, 4])),
        file_of(told(shape=[-5, -3])),
        file_of(told(shape="53")),
        file_of(told(data_offsets=[0, 60, 120])),
        file_of(told(data_offsets=[60, 120])),
        file_of(told(data_offsets=[-60, 0])),
        file_of(told(), b"\0" * 59),
        file_of({"x": {"dtype": "F32"}}),
        file_of(b"[" * 200_000),
        file_of(b'{"__metadata__": {"ids": ' + b"[" * 200_000),
    ],
    ids=range(21),
)
def test_what_is_no_whole_file_is_a_sentence(path, content):
    """Downloads break off, and anybody can call a file anything."""
    path.write_bytes(content)

    with pytest.raises(DataError, match="no whole safetensors file"):
        read_vectors(str(path))


def test_every_cut_is_noticed(path):
    """Wherever the download broke off."""
    save_file({"x": VECTORS}, path, {"ids": json.dumps(list("abcde"))})
    whole = path.read_bytes()

    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError):
            read_vectors(str(path))
