"""Pickles from strangers: plain data come through, code is never run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from cbir_bench.core.errors import DataError
from cbir_bench.datasets.plain_pickle import load_plain

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PLAIN = {
    "list": [1, 2.5, "x", b"\xff\x00", None, True],
    "empty": [],
    "whole": np.arange(6).reshape(2, 3),
    "by column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.array([1, 2], ">i4"),
    "bytes": np.array([1, 2], np.uint8),
    "text": np.array(["a", "bc"]),
    "nothing": np.empty((0, 4), np.float32),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_come_through(protocol):
    """In every protocol that Python writes."""
    actual = load_plain(pickle.dumps(PLAIN, protocol=protocol))

    assert actual["list"] == PLAIN["list"]
    for name, value in PLAIN.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(actual[name], value, strict=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_and_lists_inside_of_arrays_become_plain(protocol):
    """Ragged lists are saved as arrays of objects."""
    ragged = np.array([[1], [2, 3], None], object)

    actual = load_plain(pickle.dumps([np.int64(7), np.float32(0.5), ragged, (1, 2)], protocol))

    assert actual == [7, 0.5, [[1], [2, 3], None], [1, 2]]


def test_text_that_numpy_1_and_python_2_wrote():
    """Files of 2018 name modules that have moved since, and hold text as bytes."""
    written = (
        b"\x80\x02}q\x00(U\x04nameq\x01U\x05towerq\x02U\x03idsq\x03cnumpy.core.multiarray\n"
        b"_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06(K\x01K\x02\x85cnumpy\n"
        b"dtype\nq\x07U\x02i8K\x00K\x01\x87Rq\x08(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x10\x01\x00\x00\x00\x00\x00\x00\x00\xfe\x00\x00\x00\x00\x00\x00\x00tbu."
    )

    actual = load_plain(written)

    assert actual["name"] == "tower"
    assert actual["ids"].tolist() == [1, 254]


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "system"), (eval, "eval"), (np.load, "load"), (getattr, "getattr")],
)
def test_code_is_never_run(tmp_path, protocol, function, name):
    """The file is only named; nothing of it happens."""
    proof = tmp_path / "proof"
    payload = {"imlist": [Runs(function, f"touch {proof}", "x")]}

    with pytest.raises(DataError, match=rf"names \S*{name}, which plain data have no need of"):
        load_plain(pickle.dumps(payload, protocol=protocol))
    assert not proof.exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps(Path("x")), "pathlib"),
        (b"c__builtin__\nexec\n(S'1'\ntR.", "__builtin__.exec"),
        (b"Pname\n.", "an object called 'name' outside of it"),
        (b"cnumpy\ndtype\n(S'V8'\ntR.", r"numpy.dtype\('V8'\)"),
        (b"c_codecs\nencode\n(Vx\nVidna\ntR.", "the encoding 'idna'"),
        (b"cnumpy\nndarray\n(I4\ntR.", "cannot be unpickled"),
        (b"", "cannot be unpickled .EOFError"),
        (b"not a pickle", "cannot be unpickled"),
        (pickle.dumps(PLAIN)[:-30], "cannot be unpickled"),
    ],
)
def test_anything_else_is_refused_in_words(data, words):
    """Classes, other types of arrays, torn files."""
    with pytest.raises(DataError, match=words):
        load_plain(data)


def test_an_array_with_too_few_bytes_is_refused():
    """It would read what is not its own."""
    data = pickle.dumps(np.arange(4, dtype=np.int64), protocol=2)

    with pytest.raises(DataError, match="cannot be unpickled"):
        load_plain(data.replace(b"K\x04\x85", b"K\x09\x85"))


def test_lists_inside_of_themselves_end():
    """A hundred bytes that mean 2^60 lists are read as what they are, an endless one is refused."""
    deep: list = []
    for _ in range(60):
        deep = [deep, deep]
    endless: list = []
    endless.append(endless)

    assert len(load_plain(pickle.dumps(deep))) == 2
    with pytest.raises(DataError, match="RecursionError"):
        load_plain(pickle.dumps(endless))
