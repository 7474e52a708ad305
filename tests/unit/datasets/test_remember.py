"""A cache that cannot be written costs time, and nothing else."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest

from cbir_bench.datasets.remember import remember

LARGE = b"x" * 100_000
WRITERS = {
    "bytes": lambda file: file.write(LARGE),
    "archive": lambda file: np.savez(file, a=np.zeros(100_000), b=np.zeros(9)),
}


@contextmanager
def largest_file(n_bytes):
    """Let no file grow beyond a size, as a full disk or a quota would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_is_replaced(tmp_path, write):
    """In a folder that need not be there yet."""
    path, expected = tmp_path / "new" / "book", BytesIO()
    remember(path, lambda file: file.write(b"old"))

    remember(path, write)

    write(expected)
    assert path.read_bytes() == expected.getvalue()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_what_was_there(tmp_path, write):
    """Else each run would leave another half of a file, on a disk that is full already."""
    path = tmp_path / "book"
    remember(path, lambda file: file.write(b"old"))

    with largest_file(50_000):
        remember(path, write)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    """Its error is its own affair."""

    def write(file):
        file.write(b"half")
        raise KeyError

    with pytest.raises(KeyError):
        remember(tmp_path / "book", write)

    assert list(tmp_path.iterdir()) == []
