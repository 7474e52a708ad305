"""What is written is read back, by this package and by others, or is not there at all."""

from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.files import writing
from cbir_bench.files.reading import read_columns, read_item_columns, read_vectors
from cbir_bench.files.vector_table import open_vectors
from cbir_bench.files.writing import write_embeddings

FILES = ["e.npz", "e.parquet", "e.safetensors", "e.npy"]
VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
IDS = ["007", "a b/ü.jpg", 'quoted "x", y', " spaced ", "1e3"]
LABELS = ["007", "1.0", "é", "dog", "dog"]
SEVERAL = [["b", "a"], ["c"], ["a", "c", "b"], ["c"], ["d"]]


@pytest.fixture
def written(tmp_path):
    """Return what writes a file and gives its path."""

    def write(file, labels=LABELS, vectors=VECTORS, ids=IDS):
        write_embeddings(tmp_path / file, vectors, ids, labels)
        return tmp_path / file

    return write


@pytest.mark.parametrize("file", FILES)
def test_vectors_and_ids_are_read_back(written, file):
    """To the bit, and to the blank."""
    actual, columns = read_vectors(str(written(file)))

    np.testing.assert_array_equal(actual, VECTORS)
    assert actual.dtype == np.float32
    assert columns.ids() == tuple(IDS)
    assert list(columns.get("label")) == LABELS


@pytest.mark.parametrize("file", FILES)
def test_any_rows_are_read_back(written, file):
    """In any order, and more than once."""
    rows = np.array([4, 0, 0, 2])

    actual = open_vectors(str(written(file))).take(rows)

    np.testing.assert_array_equal(actual, VECTORS[rows])


@pytest.mark.parametrize("file", FILES[:3])
def test_several_labels_are_read_back(written, file):
    """Photos show more than one thing."""
    path = written(file, SEVERAL)

    for columns in (
        read_vectors(str(path))[1],
        read_columns(str(path)),
        read_item_columns(str(path)),
    ):
        assert [list(one) for one in columns.get("label")] == SEVERAL


def test_several_labels_beside_a_matrix_are_divided_by_a_bar(written):
    """--label-separator "|" reads them."""
    _, columns = read_vectors(str(written("e.npy", SEVERAL)))

    assert list(columns.get("label")) == ["b|a", "c", "a|c|b", "c", "d"]


@pytest.mark.parametrize("file", FILES)
def test_it_can_be_scored(written, file):
    """An export is of use without the run that made it."""
    from cbir_bench.scoring.command import score
    from cbir_bench.scoring.options import Options

    path = str(written(file, ["x", "x", "y", "y", "y"]))
    labels = f"{path}.csv" if file.endswith(".npy") else path

    actual = score(Options(embeddings=path, labels=labels, metrics="hit_rate@1"))

    assert "5 queries, each against all others" in actual


def test_parquet_is_what_others_expect(written):
    """A column of lists of one length, which Arrow turns into a matrix without a copy."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(written("e.parquet"))

    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    assert table["id"].to_pylist() == IDS
    assert table["label"].to_pylist() == LABELS


def test_npz_is_what_others_expect(written):
    """No Python objects: numpy.load reads it as it is."""
    actual = np.load(written("e.npz"), allow_pickle=False)

    np.testing.assert_array_equal(actual["vectors"], VECTORS)
    assert actual["ids"].tolist() == IDS
    assert actual["labels"].tolist() == LABELS


def test_safetensors_is_what_others_expect(written):
    """The format's own library reads it."""
    from safetensors import safe_open

    with safe_open(written("e.safetensors"), framework="numpy") as file:
        actual = file.get_tensor("vectors")
        metadata = file.metadata()

    np.testing.assert_array_equal(actual, VECTORS)
    assert json.loads(metadata["ids"]) == IDS
    assert json.loads(metadata["labels"]) == LABELS


def test_a_table_beside_a_matrix_is_what_others_expect(written):
    """A plain table of text, row by row."""
    path = written("e.npy")

    actual = pd.read_csv(f"{path}.csv", dtype=str, keep_default_na=False)

    np.testing.assert_array_equal(np.load(path), VECTORS)
    assert actual["id"].tolist() == IDS
    assert actual["label"].tolist() == LABELS


@pytest.mark.parametrize("file", FILES)
def test_no_other_file_is_left(written, tmp_path, file):
    """Temporary files are no surprise of the user's."""
    written(file)

    expected = {file, "e.npy.csv"} if file == "e.npy" else {file}
    assert {path.name for path in tmp_path.iterdir()} == expected


@pytest.mark.parametrize("file", FILES)
def test_a_full_disk_leaves_the_older_file(written, tmp_path, monkeypatch, file):
    """A sentence, and what was there is still there."""
    before = written(file).read_bytes()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "_sync", full)
    with pytest.raises(DataError, match=r"e\.\w+ cannot be written: No space left.* Make room"):
        written(file, vectors=VECTORS + 1)

    assert (tmp_path / file).read_bytes() == before
    assert not list(tmp_path.glob(".*"))


WRITE = """
import sys
from pathlib import Path
import numpy as np
from cbir_bench.core.errors import DataError
from cbir_bench.files.writing import write_embeddings
try:
    vectors = np.ones((50_000, 8), np.float32)
    write_embeddings(Path(sys.argv[1]), vectors, list(map(str, range(50_000))), ["a"] * 50_000)
except DataError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("file", FILES)
def test_a_disk_that_fills_up_on_the_way_is_a_sentence(tmp_path, file):
    """Each library has its own way to say so."""
    limit = 200_000

    actual = subprocess.run(
        [sys.executable, "-W", "error", "-c", WRITE, str(tmp_path / file)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert actual.returncode == 1
    assert "cannot be written: " in actual.stderr
    assert "File too large" in actual.stderr
    assert "Traceback" not in actual.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_never_stands_beside_anothers_ids(written, tmp_path, monkeypatch):
    """A crash between the two files must not give every vector another's id."""
    path = written("e.npy")
    replace = type(path).replace
    replaced = []

    def crash(self, target):
        if replaced:
            raise OSError(errno.EIO, "crash")
        replaced.append(target)
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", crash)
    with pytest.raises(DataError, match="crash"):
        written("e.npy", ids=IDS[::-1])

    assert not path.exists()


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    """Mistyped."""
    with pytest.raises(DataError, match="cannot be written: No such file or directory"):
        write_embeddings(tmp_path / "no" / "e.npz", VECTORS, IDS, LABELS)


def test_a_name_that_says_nothing_is_refused(tmp_path):
    """The name decides the format."""
    with pytest.raises(SettingError, match=r"ends in \.parquet, \.npz, \.safetensors, \.npy"):
        write_embeddings(tmp_path / "e.pt", VECTORS, IDS, LABELS)


@pytest.mark.parametrize(
    ("file", "items", "words"),
    [
        ("e.npz", {"ids": ["a\0", *IDS[1:]]}, "the character 0"),
        ("e.npy", {"ids": ["a\nb", *IDS[1:]]}, "line break"),
        ("e.npy", {"labels": [["a|b"], *SEVERAL[1:]]}, "stands between labels"),
        ("e.parquet", {"ids": ["a\udcff", *IDS[1:]]}, "no text in UTF-8"),
        ("e.safetensors", {"ids": ["a\udcff", *IDS[1:]]}, "no text in UTF-8"),
        ("e.npy", {"ids": ["a\udcff", *IDS[1:]]}, "no text in UTF-8"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(written, tmp_path, file, items, words):
    """Rather than read back as something else."""
    with pytest.raises(SettingError, match=words):
        written(file, **items)

    assert list(tmp_path.iterdir()) == []


def test_more_ids_than_a_header_can_hold_are_refused(written, monkeypatch):
    """Others refuse to read such a file."""
    monkeypatch.setattr(writing, "MAX_HEADER_BYTES", 100)

    with pytest.raises(SettingError, match=r"5 items .* Write a \.parquet"):
        written("e.safetensors")
