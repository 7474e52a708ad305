"""Files of ann-benchmarks: read as its own code writes them, and checked against their own neighbours."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from cbir_bench.core.component import create
from cbir_bench.core.dataset import DataContext, Role, Split
from cbir_bench.core.errors import DataError, MissingPackageError, SettingError
from cbir_bench.core.registry import DATASETS
from cbir_bench.files.vector_table import open_vectors
from cbir_bench.models.given_vectors import VectorsFromFile
from cbir_bench.protocols.full_base import FullBase
from cbir_bench.protocols.query_set import QuerySet

h5py = pytest.importorskip("h5py", reason="pip install 'cbir-bench[hdf5]'")

RANDOM = np.random.default_rng(0)
BASE = RANDOM.standard_normal((60, 5)).astype(np.float32)
QUERIES = RANDOM.standard_normal((7, 5)).astype(np.float32)
DISTANCES = {
    "euclidean": lambda q, b: sum((x - y) ** 2 for x, y in zip(q, b, strict=True)) ** 0.5,
    "angular": lambda q, b: 1 - np.dot(q, b) / (np.linalg.norm(q) * np.linalg.norm(b)),
    "dot": lambda q, b: -np.dot(q, b),
}


def neighbours(base, queries, distance, k=10):
    """Return ids and distances as ann-benchmarks' own brute force does: a loop and a sort."""
    rows = [
        sorted((float(DISTANCES[distance](q, b)), i) for i, b in enumerate(base))[:k]
        for q in queries
    ]
    return np.array([[i for _, i in row] for row in rows]), np.array(
        [[d for d, _ in r] for r in rows]
    )


@pytest.fixture
def context(tmp_path):
    return DataContext(folders=(tmp_path,), cache=tmp_path / "cache")


@pytest.fixture
def file(tmp_path):
    """A writer of such files; None leaves an array out."""

    def write(distance="euclidean", name="set.hdf5", base=BASE, queries=QUERIES, **arrays):
        if distance in DISTANCES and "neighbors" not in arrays:
            arrays["neighbors"], arrays["distances"] = neighbours(base, queries, distance)
        arrays = {"train": base, "test": queries} | arrays
        with h5py.File(tmp_path / name, "w") as out:
            if distance is not None:
                out.attrs["distance"] = distance
            for key, array in arrays.items():
                if array is not None:
                    out[key] = array
        return name

    return write


@pytest.fixture
def opened(context):
    def open_(name="set.hdf5", **options):
        return create(DATASETS, "ann_benchmarks", {"path": name, **options}).open(context)

    return open_


def test_train_is_the_base_and_test_are_the_queries(file, opened):
    """Their names mean the opposite of what they mean to a trainer."""
    file()

    actual = opened()

    assert len(actual) == 67
    assert (actual.roles == [Role.BASE] * 60 + [Role.QUERY] * 7).all()
    assert (actual.splits == Split.TEST).all()


@pytest.mark.parametrize(
    ("distance", "space"), [("euclidean", "l2"), ("angular", "cosine"), ("dot", "ip"), (None, None)]
)
def test_the_distance_tells_the_space(file, opened, distance, space):
    """Searched by another one, its neighbours are others."""
    file(distance)

    assert opened().space == space


def test_each_item_gets_its_own_vector(file, opened, context):
    """The data set and the model read the same file, and meet by the ids."""
    file()
    data = opened()

    actual = VectorsFromFile(file="set.hdf5").vectors(context, data.ids)

    np.testing.assert_array_equal(actual, np.concatenate([BASE, QUERIES]))


def test_some_vectors_are_read_in_the_order_that_is_asked_for(file, tmp_path, monkeypatch):
    """A file larger than memory is read a block at a time."""
    monkeypatch.setattr("cbir_bench.files.ann_benchmarks._ROWS_AT_ONCE", 8)
    table = open_vectors(str(tmp_path / file()))
    rows = np.array([66, 3, 59, 60, 3, 0])

    actual = table.take(rows)

    np.testing.assert_array_equal(actual, np.concatenate([BASE, QUERIES])[rows])


def test_whole_numbers_become_float32(file, tmp_path):
    """SIFT is kept as bytes in some files."""
    table = open_vectors(
        str(tmp_path / file(base=np.arange(300, dtype=np.uint8).reshape(60, 5) % 9))
    )

    actual = table.take(np.arange(3))

    assert actual.dtype == np.float32
    assert actual[0].tolist() == [0, 1, 2, 3, 4]


def test_nothing_is_relevant_to_a_query(file, opened):
    """A made-up label would give every query the same average precision."""
    file()
    data = opened()

    actual = QuerySet().ground_truth(data, data.rows(Split.TEST))

    assert len(actual.query_rows) == 7
    assert len(actual.base_rows) == 60
    assert actual.n_relevant.tolist() == [0] * 7


def test_full_base_is_refused(file, opened):
    """The base is not asked in ann-benchmarks."""
    file()
    data = opened()

    with pytest.raises(DataError, match="query-set"):
        FullBase().ground_truth(data, data.rows(Split.TEST))


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_right_neighbours_need_no_note(file, opened, distance):
    """The check itself must not cry wolf."""
    file(distance)

    assert opened().notes == ()


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_wrong_neighbours_are_counted(file, opened, distance):
    """A file that was truncated, shuffled or computed with approximations gives wrong recalls to others."""
    ids, _ = neighbours(BASE, QUERIES, distance)
    far = neighbours(BASE, QUERIES, distance, k=60)[0][:, -1]
    ids[2, 4], ids[5, 0], ids[6, 9] = far[2], far[5], -1
    file(distance, neighbors=ids)

    (actual,) = opened().notes

    assert actual.startswith("3 of the 70 neighbours that the file lists of 7 queries are none")


def test_neighbours_that_tie_are_right(file, opened):
    """With duplicates any of them will do."""
    base = np.concatenate([BASE, BASE])
    ids, _ = neighbours(base, QUERIES, "euclidean")
    other = np.where(np.arange(10) % 2, (ids + 60) % 120, ids)
    file(base=base, neighbors=np.sort(other, axis=1)[:, ::-1])

    # k = 10 of pairs of duplicates: five pairs, whichever of each is listed
    actual = opened().notes

    assert actual == ()


def test_blocks_do_not_change_the_check(file, opened, monkeypatch):
    """Neighbours are spread over all of a million vectors."""
    monkeypatch.setattr("cbir_bench.files.ann_benchmarks._ROWS_AT_ONCE", 7)
    file("angular")

    assert opened().notes == ()


def test_only_some_queries_are_checked(file, opened):
    """All of 10,000 against a million would take minutes."""
    ids, _ = neighbours(BASE, QUERIES, "euclidean")
    ids[1] = ids[1, 0]
    far = neighbours(BASE, QUERIES, "euclidean", k=60)[0][1, -1]
    ids[1] = far
    file(neighbors=ids)

    assert opened(n_checked=2).notes == ()  # the first and the last
    assert opened(n_checked=0).notes == ()
    assert opened().notes


def test_a_file_without_a_distance_is_told_of(file, opened):
    """Nobody can tell then whether the space is right."""
    file(None)

    assert "does not say by which distance" in opened().notes[0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train": None}, "no array 'train'"),
        ({"test": QUERIES[:, :4]}, "train has 5 dimensions and test has 4"),
        ({"train": BASE > 0}, "dense vectors of numbers"),
        ({"train": BASE[:, 0]}, "dense vectors of numbers"),
        ({"neighbors": np.zeros((3, 10), int)}, "neighbors has the shape"),
    ],
)
def test_other_files_are_refused_by_name(file, opened, arrays, words):
    """A sentence instead of a traceback."""
    file(**arrays)

    with pytest.raises(DataError, match=words):
        opened()


@pytest.mark.parametrize("distance", ["jaccard", "hamming"])
def test_distances_of_sets_and_bits_are_refused(file, opened, distance):
    """Their vectors are no vectors."""
    file(distance)

    with pytest.raises(DataError, match=distance):
        opened()


@pytest.mark.parametrize("content", [b"no HDF5 at all", None])
def test_a_damaged_file_is_a_sentence(file, opened, tmp_path, content):
    """Downloads break off."""
    file()
    whole = (tmp_path / "set.hdf5").read_bytes()
    (tmp_path / "set.hdf5").write_bytes(whole[: len(whole) // 2] if content is None else content)

    with pytest.raises(DataError, match=r"cannot be read as HDF5"):
        opened()


def test_no_file_is_a_sentence(opened):
    """The option has no default that could work."""
    with pytest.raises(SettingError, match="path ="):
        opened("")


def test_without_h5py_the_extra_is_named(file, opened, monkeypatch):
    """It is no dependency of everybody."""
    file()
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(MissingPackageError, match=r"cbir-bench\[hdf5\]"):
        opened()


def test_real_vectors_give_the_neighbours_that_others_computed(real_data, file, opened):
    """BIGANN's own ground truth, with its ties among whole numbers."""
    folder = real_data / "bigann10k"
    base, queries, ids = (
        np.load(folder / f"{name}.npy") for name in ("base", "query", "groundtruth")
    )
    file(base=base, queries=queries, neighbors=ids)

    data = opened(n_checked=100)

    assert (data.space, len(data)) == ("l2", 10_100)
    assert data.notes == ()


def test_the_content_hash_follows_the_sizes_and_the_distance(file, opened):
    """The vectors themselves are hashed by the model that reads them."""
    hashes = []
    for distance, base in (("euclidean", BASE), ("angular", BASE), ("euclidean", BASE[:50])):
        file(distance, base=base)
        hashes.append(opened().content_hash)

    assert len(set(hashes)) == 3
    assert json.dumps(hashes)
