"""The data set ``vectors``: everything about items but their images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.dataset import DataContext, Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.datasets.vectors import VectorItems
from cbir_bench.files.writing import write_embeddings

IDS = ["007", "7", "a/b.jpg", "c"]
VECTORS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
LABELS = ["1", "01", "dog", "dog"]


@pytest.fixture
def opened(tmp_path):
    """Return what opens a data set of a table that is given, or of a file that is there."""

    def open_(table=None, *, file="items.csv", **options):
        if table is not None:
            path = tmp_path / file
            frame = pd.DataFrame(table)
            frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        context = DataContext(folders=(tmp_path,), cache=tmp_path)
        return VectorItems(file=file, **options).open(context)

    return open_


def labels_of(data):
    bounds = zip(data.labels.starts, data.labels.starts[1:], strict=False)
    return [tuple(data.labels.names[c] for c in data.labels.codes[a:b]) for a, b in bounds]


@pytest.mark.parametrize("file", ["e.npz", "e.parquet", "e.safetensors", "e.npy"])
def test_what_is_exported_is_a_data_set(tmp_path, opened, file):
    """Whoever gets a file of embeddings can benchmark with it alone."""
    write_embeddings(tmp_path / file, VECTORS, IDS, LABELS)

    actual = opened(file=file)

    assert actual.name == "e"
    assert actual.ids == tuple(IDS)
    assert labels_of(actual) == [(label,) for label in LABELS]
    assert (actual.splits == Split.TEST).all()
    assert (actual.roles == Role.ANY).all()


def test_a_table_needs_no_vectors(opened):
    """They may be in files of their own, one for each model."""
    actual = opened({"id": IDS, "label": LABELS})

    assert actual.ids == tuple(IDS)
    assert labels_of(actual) == [(label,) for label in LABELS]


def test_columns_say_split_role_camera_and_group(opened):
    """As for images that are listed in a table."""
    actual = opened(
        {
            "id": IDS,
            "label": LABELS,
            "split": ["train", "query", "gallery", "test"],
            "role": ["", "", "", "query"],
            "camera": ["", "x", "y", "x"],
            "group": ["", "", "g", "g"],
        }
    )

    assert actual.splits.tolist() == [Split.TRAIN, Split.TEST, Split.TEST, Split.TEST]
    assert actual.roles.tolist() == [Role.ANY, Role.QUERY, Role.BASE, Role.QUERY]
    assert actual.cameras.tolist() == [-1, 0, 1, 0]
    assert actual.groups.tolist() == [-1, -1, 0, 0]


def test_columns_may_be_called_otherwise(opened):
    """Tables are what they are."""
    actual = opened(
        {"path": IDS, "kind": ["a|b", "a", "c", "b"], "family": list("xxyx"), "label": 0},
        id_column="path",
        label_column="kind",
        label_separator="|",
        coarse_column="family",
    )

    assert actual.ids == tuple(IDS)
    assert labels_of(actual) == [("a", "b"), ("a",), ("c",), ("b",)]
    assert actual.labels_called("coarse").names == ("x", "y")


def test_arrays_of_an_archive_are_columns(tmp_path, opened):
    """numpy.savez with whatever there is."""
    np.savez(
        tmp_path / "e.npz",
        embeddings=VECTORS,
        other=VECTORS[:2],
        ids=np.arange(4),
        labels=[3, 3, 4, 4],
        split=["train", "train", "test", "test"],
    )

    actual = opened(file="e.npz")

    assert actual.ids == ("0", "1", "2", "3")
    assert labels_of(actual) == [("3",), ("3",), ("4",), ("4",)]
    assert actual.splits.tolist() == [0, 0, 2, 2]


def test_whole_numbers_beside_a_missing_one_stay_whole(opened):
    """pandas makes fractions of them."""
    actual = opened({"id": IDS, "label": LABELS, "camera": [1.0, 2.0, None, 1.0]}, file="e.parquet")

    assert actual.cameras.tolist() == [0, 1, -1, 0]


def test_every_second_item(opened):
    """For a quick look."""
    assert opened({"id": IDS, "label": LABELS}, every=2).ids == ("007", "a/b.jpg")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", ["008", "7", "a/b.jpg", "c"]),
        ("label", ["2", "01", "dog", "dog"]),
        ("split", ["test", "test", "train", "test"]),
        ("role", ["query", "", "", ""]),
        ("camera", ["x", "", "", ""]),
        ("group", ["x", "", "", ""]),
    ],
)
def test_whatever_changes_the_data_changes_the_hash(opened, column, values):
    """Results of before would be taken for those of now."""
    before = {"id": IDS, "label": LABELS, "split": ["test"] * 4, "role": [""] * 4}
    before |= {"camera": [""] * 4, "group": [""] * 4}

    assert opened({**before, column: values}).content_hash != opened(before).content_hash


def test_the_hash_is_that_of_the_items_alone(tmp_path, opened):
    """Two models' files of the same items are the same data set."""
    for file, vectors in (("e.npz", VECTORS), ("f.parquet", VECTORS[:, :2])):
        write_embeddings(tmp_path / file, vectors, IDS, LABELS)

    assert opened(file="e.npz").content_hash == opened(file="f.parquet").content_hash


def test_pixels_are_refused_with_what_to_do(opened):
    """A model that reads images, or a search for near-duplicates by their looks."""
    data = opened({"id": IDS, "label": LABELS})

    with pytest.raises(DataError, match=r"no images\. Use the model given_vectors"):
        data.images.read([0])


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        ({"id": ["a", "a"], "label": ["x", "y"]}, {}, "the id 'a' twice"),
        ({"id": ["a", None], "label": ["x", "y"]}, {}, "no id in 1 of 2 rows"),
        ({"id": ["a", "b"], "label": ["x", None]}, {}, "Row 1 of items.csv has no label"),
        ({"id": ["a", "b"], "lable": ["x", "y"]}, {}, "Did you mean 'lable'"),
        ({"idx": ["a", "b"], "label": ["x", "y"]}, {}, "no column 'id'"),
        ({"id": ["a"], "label": ["x"], "split": ["tset"]}, {}, "Row 0 .* Did you mean 'test'"),
        ({"id": ["a"], "label": ["x"], "role": ["qery"]}, {}, "Did you mean 'query'"),
        ({"id": ["a"], "label": ["x"], "split": ["train"]}, {}, "no item in its test split"),
        (
            {"id": ["a", "b"], "label": ["x", "y"], "c": ["z", None]},
            {"coarse_column": "c"},
            "Row 1 of items.csv has no 'c'",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named(opened, table, options, words):
    """With the row, where there is one."""
    with pytest.raises(DataError, match=words):
        opened(table, **options)


def test_arrays_of_different_length_are_refused(tmp_path, opened):
    """Labels of the training split, say."""
    np.savez(tmp_path / "e.npz", embeddings=VECTORS, ids=np.arange(4), labels=np.arange(3))

    with pytest.raises(DataError, match="3 entries of 'label' for 4 ids"):
        opened(file="e.npz")


def test_vectors_alone_are_no_data_set(tmp_path, opened):
    """Nothing would be relevant to anything."""
    np.save(tmp_path / "e.npy", VECTORS)

    with pytest.raises(DataError, match=r"vectors alone. Put ids and labels into e\.npy\.csv"):
        opened(file="e.npy")


def test_a_file_is_needed(tmp_path):
    """The default is what `list` shows."""
    with pytest.raises(SettingError, match="no file"):
        VectorItems().open(DataContext(folders=(tmp_path,), cache=tmp_path))
