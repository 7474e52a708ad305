"""Every registered reader of data sets keeps the promises of the protocol."""

import dataclasses
import io
import pickle
import typing
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from cbir_bench.core.component import LATER, create, help_texts, setting_of
from cbir_bench.core.dataset import DataContext, Dataset
from cbir_bench.core.registry import DATASETS

NAMES = DATASETS.names()
OPTIONS = {
    "ann_benchmarks": {"path": "vectors.hdf5"},
    "csv": {"table": "photos/list.csv"},
    "digits": {"scale": 1},
    "image_folder": {"root": "photos"},
    "market1501": {"root": "market"},
    "omniglot": {"fetch": False},
    "revisited_oxford_paris": {},
    "products": {"n_train_classes": 2, "n_test_classes": 2, "n_views": 2, "size": 24},
    "vectors": {"file": "items.csv"},
}
"""What each reader needs to open something small."""
WITHOUT_IMAGES = {"ann_benchmarks", "vectors"}
"""Data sets that nobody has the images of."""


def png(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def write_hdf5(path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"] = np.eye(4), np.eye(4)[:2]
        file["neighbors"] = [[0], [1]]


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> DataContext:
    root = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png")):
        path = root / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed))
    if find_spec("h5py"):
        write_hdf5(root / "vectors.hdf5")
    (root / "items.csv").write_text("id,label\n1,cat\n2,dog\n")
    (root / "photos" / "list.csv").write_text("path,label\ncat/1.png,cat\ndog/3.png,dog\n")
    for seed, name in enumerate(("query/0001_c1s1_1_00", "bounding_box_test/0001_c2s1_1_00")):
        path = root / "market" / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(png(seed))
    (root / "roxford5k" / "jpg").mkdir(parents=True)
    for seed, name in enumerate(("ashmolean_1", "ashmolean_2")):
        (root / "roxford5k" / "jpg" / f"{name}.jpg").write_bytes(png(seed))
    judged = {"bbx": [1, 1, 6.4, 5], "easy": [0], "hard": [], "junk": []}
    listed = {"imlist": ["ashmolean_1"], "qimlist": ["ashmolean_2"], "gnd": [judged]}
    (root / "roxford5k" / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(listed))
    for top in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(root / f"{top}.zip", "w") as archive:
            for drawing in range(3):
                archive.writestr(f"{top}/Greek/character01/{drawing:04d}_01.png", png(drawing))
    return DataContext(folders=(root,), cache=root / "cache")


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def reader(name):
    return create(DATASETS, name, OPTIONS[name])


@pytest.fixture
def dataset(reader, context) -> Dataset:
    for package in reader.REQUIRES:
        pytest.importorskip(package)
    return reader.open(context)


@pytest.fixture
def images(name, dataset):
    if name in WITHOUT_IMAGES:
        pytest.skip(f"{name} has no images")
    return dataset.images


def test_it_is_a_frozen_keyword_only_dataclass(name):
    """Its fields are sweep axes, record key and help text."""
    reader = DATASETS.get(name)

    parameters = reader.__dataclass_params__

    assert parameters.frozen
    assert all(field.kw_only for field in dataclasses.fields(reader))
    assert isinstance(reader.REQUIRES, tuple)


def test_every_option_has_a_type_a_default_and_help(name):
    """The suite file is validated and documented from them."""
    reader = DATASETS.get(name)
    options = [field.name for field in dataclasses.fields(reader)]

    hints = typing.get_type_hints(reader, include_extras=True)

    assert set(options) <= set(hints)
    assert list(help_texts(reader)) == options
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(reader))
    always = {field.name for field in dataclasses.fields(reader) if field.metadata != LATER}
    assert setting_of(name, reader()).values.keys() == always


def test_columns_fit_and_ids_are_unique(dataset):
    """Rows are how every later stage speaks of items."""
    assert len(set(dataset.ids)) == len(dataset) == len(dataset.labels) > 0
    assert dataset.splits.dtype == dataset.roles.dtype == np.int8


def test_pixels_are_rgb_bytes(images, dataset):
    """Models are promised (height, width, 3) uint8."""
    read = images.read([0, len(dataset) - 1])

    assert all(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in read
    )


def test_opening_twice_gives_the_same(reader, dataset, context):
    """Artefacts are found again by the content hash, so equal data must have equal hashes."""
    again = reader.open(context)

    assert again.content_hash == dataset.content_hash
    assert again.ids == dataset.ids
    assert np.array_equal(again.splits, dataset.splits)


def test_opening_twice_gives_the_same_pixels(reader, dataset, images, context):
    """Vectors that were frozen once are found again by the content hash alone."""
    again = reader.open(context)
    rows = range(0, len(dataset), max(1, len(dataset) // 5))

    pairs = zip(again.images.read(rows), images.read(rows), strict=True)

    assert all(np.array_equal(a, b) for a, b in pairs)


def test_images_can_be_sent_to_another_process(images):
    """Freezing may decode elsewhere."""
    copied = pickle.loads(pickle.dumps(images))

    assert np.array_equal(copied.read([1])[0], images.read([1])[0])


def test_reading_no_row_reads_nothing(dataset):
    """The last batch of a split may be empty."""
    assert dataset.images.read([]) == []


def test_numpy_rows_are_rows(images):
    """Splits give rows as int64 arrays."""
    rows = np.array([1, 0])

    one, other = images.read(rows), images.read([1, 0])

    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
