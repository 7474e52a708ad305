"""The store of frozen vectors: atomic, verified, indifferent to races."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cbir_bench.core import artefact
from cbir_bench.core.errors import DataError
from cbir_bench.embeddings.store import EmbeddingStore

ROWS = np.arange(10, 30, dtype=np.int64)


def vectors(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((20, 8)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    """A store with the vectors "abc"."""
    made = EmbeddingStore(tmp_path / "embeddings")
    made.save("abc", vectors(), ROWS, {"model": "x"})
    return made


def test_what_is_saved_is_loaded(store: EmbeddingStore) -> None:
    """To the bit, with its rows and its origin."""
    actual = store.load("abc")

    np.testing.assert_array_equal(actual.vectors, vectors())
    np.testing.assert_array_equal(actual.rows, ROWS)
    assert (actual.key, actual.made_from) == ("abc", {"model": "x"})


def test_loaded_vectors_are_mapped_and_read_only(store: EmbeddingStore) -> None:
    """Many workers share them; none may change them."""
    actual = store.load("abc").vectors

    assert isinstance(actual, np.memmap)
    assert actual.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        actual[0, 0] = 1


def test_has_tells_what_is_there(store: EmbeddingStore) -> None:
    """So that nothing is frozen twice."""
    assert store.has("abc")
    assert not store.has("abd")


def test_one_flipped_bit_is_found(store: EmbeddingStore) -> None:
    """Disks and copies fail silently; the numbers would look like any others."""
    path = store.root / "abc" / "vectors.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"damaged or incomplete\. Delete that folder"):
        store.load("abc")


@pytest.mark.parametrize("name", ["vectors.npy", "rows.npy", "embeddings.json"])
@pytest.mark.parametrize("n_bytes", [None, 0, 20, -1])
def test_missing_and_short_files_are_found(
    store: EmbeddingStore, name: str, n_bytes: int | None
) -> None:
    """Whatever is torn off, and wherever."""
    path = store.root / "abc" / name
    content = path.read_bytes()
    path.unlink()
    if n_bytes is not None:
        path.write_bytes(content[:n_bytes])

    with pytest.raises(DataError, match=r"embeddings in .*abc are damaged"):
        store.load("abc")


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"sha256": 3}'])
def test_a_table_of_another_shape_is_found(store: EmbeddingStore, content: str) -> None:
    """Valid JSON is not enough."""
    (store.root / "abc" / "embeddings.json").write_text(content)

    with pytest.raises(DataError, match="damaged"):
        store.load("abc")


def test_swapped_rows_are_found(store: EmbeddingStore) -> None:
    """Vectors with the rows of others would give every image another's label."""
    np.save(store.root / "abc" / "rows.npy", ROWS[::-1].copy())

    with pytest.raises(DataError, match="damaged"):
        store.load("abc")


def test_missing_vectors_are_named(store: EmbeddingStore) -> None:
    """A key that was never saved."""
    with pytest.raises(DataError, match="nothing"):
        store.load("nothing")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """The next run must not take half a file for vectors."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artefact.os, "fsync", full)
    store = EmbeddingStore(tmp_path)

    with pytest.raises(DataError, match="No space left"):
        store.save("abc", vectors(), ROWS, {})

    assert not store.has("abc")
    assert list(tmp_path.iterdir()) == []


SAVE = """
import sys
from pathlib import Path
import numpy as np
from cbir_bench.embeddings.store import EmbeddingStore
vectors = np.ones((20, 8), np.float32)
print(EmbeddingStore(Path(sys.argv[1])).save("race", vectors, np.arange(20), {}).sha256)
"""


def test_processes_that_race_on_a_key_all_end_fine(tmp_path: Path) -> None:
    """Two runs of one suite at once are a mistake that costs nothing."""
    command = [sys.executable, "-c", SAVE, str(tmp_path)]

    racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    hashes = {process.communicate(timeout=60)[0] for process in racing}
    assert [process.returncode for process in racing] == [0] * 6
    assert len(hashes) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["race"]


def test_the_table_is_readable_by_people(store: EmbeddingStore) -> None:
    """Whoever cleans up a cache wants to know what is what."""
    table = json.loads((store.root / "abc" / "embeddings.json").read_text())

    assert table["shape"] == [20, 8]
    assert table["made_from"] == {"model": "x"}
