"""Pictures seen before are known again: scaled, packed or lightened; others are not."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from unit.protocols.items import dataset

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.datasets.csv_table import CsvTable
from cbir_bench.datasets.image_folder import ImageFolder
from cbir_bench.datasets.looks import Looks, looks_of
from cbir_bench.datasets.products import Products
from cbir_bench.run.near_duplicates import picture_groups, with_groups


def scene(seed: int) -> Image.Image:
    """Return a picture of smooth random shapes, 160 x 120 pixels."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 200, (9, 12, 3), dtype=np.uint8))
    return small.resize((160, 120), Image.Resampling.BICUBIC)


def packed(picture: Image.Image) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=50)
    return Image.open(out)


class Pictures:
    """Images in memory that count how often they are read."""

    def __init__(self, pictures):
        self.pictures = [np.asarray(picture.convert("RGB")) for picture in pictures]
        self.n_read = 0

    def read(self, rows):
        self.n_read += len(rows)
        return [self.pictures[row] for row in rows]


def album_of(*pictures):
    """Return a data set of pictures in memory."""
    return replace(dataset(["x"] * len(pictures)), images=Pictures(pictures))


def groups(tmp_path, *pictures):
    return with_groups(album_of(*pictures), tmp_path).groups.tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        packed,
        lambda p: p.resize((80, 60)),
        lambda p: p.resize((320, 240)),
        lambda p: p.point(lambda level: level + 15),
        lambda p: p.crop((1, 1, 160, 120)),
    ],
    ids=["copy", "packed", "half", "double", "lighter", "shifted"],
)
def test_a_changed_copy_is_a_near_duplicate(tmp_path, change):
    """And the other picture is alone."""
    assert groups(tmp_path, scene(0), scene(1), change(scene(0))) == [0, -1, 0]


@pytest.mark.parametrize(
    "other",
    [
        scene(1),
        scene(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        scene(0).crop((40, 30, 160, 120)),
        Image.new("RGB", (160, 120), "white"),
    ],
    ids=["other", "mirrored", "detail", "white"],
)
def test_another_picture_is_none(tmp_path, other):
    """A view of the same thing is what a search shall find."""
    assert groups(tmp_path, scene(0), other) == [-1, -1]


def test_another_print_on_the_same_shirt_is_none(tmp_path):
    """Hashes of things before one curtain are alike; their edges are not."""
    shirts = []
    for seed in range(2):
        shirt = Image.new("RGB", (160, 120), (150, 20, 60))
        shirt.paste((230, 230, 230), (40, 20, 120, 110))
        mark = np.random.default_rng(seed).integers(0, 2, (6, 8), dtype=np.uint8) * 200
        shirt.paste(Image.fromarray(mark).resize((40, 30), Image.Resampling.NEAREST), (60, 40))
        shirts.append(shirt)

    assert groups(tmp_path, *shirts) == [-1, -1]


@pytest.mark.parametrize(("other", "same"), [("white", True), ("black", False)])
def test_pictures_of_one_colour(tmp_path, other, same):
    """They have no edges to tell them apart."""
    actual = groups(tmp_path, Image.new("RGB", (9, 9), "white"), Image.new("RGB", (30, 20), other))

    assert actual == ([0, 0] if same else [-1, -1])


def test_pictures_are_read_once_and_remembered(tmp_path):
    """Planning and running look at the same pictures."""
    data = album_of(scene(0), scene(1))
    rows = np.arange(2)

    first, again = looks_of(data, rows, tmp_path), looks_of(data, rows, tmp_path)

    assert data.images.n_read == 2
    assert np.array_equal(first.hashes, again.hashes)
    assert np.array_equal(first.thumbnails, again.thumbnails)


def test_a_torn_memory_is_made_anew(tmp_path):
    """A full disk, or a kill."""
    data = album_of(scene(0), scene(1))
    looks_of(data, np.arange(2), tmp_path)
    (file,) = (tmp_path / "looks").iterdir()
    file.write_bytes(file.read_bytes()[:100])

    assert len(looks_of(data, np.arange(2), tmp_path).hashes) == 2
    assert data.images.n_read == 4


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    """Read-only homes exist."""
    (tmp_path / "looks").write_text("a file in the way")

    assert len(looks_of(album_of(scene(0)), np.arange(1), tmp_path).hashes) == 1


def test_groups_that_the_data_set_brings_are_kept(tmp_path):
    """People know better than pixels; no picture is read."""
    data = replace(album_of(scene(0), scene(0)), groups=np.array([-1, -1]))

    assert with_groups(data, tmp_path) is data


def test_only_the_test_split_is_looked_at(tmp_path):
    """Rows of the split are not those of the data set."""
    data = replace(
        album_of(scene(0), scene(0), scene(1), scene(1)), splits=np.array([0, 2, 2, 2], np.int8)
    )

    actual = with_groups(data, tmp_path)

    assert data.images.n_read == 3
    assert actual.groups[0] == -1
    assert actual.groups[1] == -1
    assert actual.groups[2] == actual.groups[3] >= 0


def test_many_pairs_are_looked_at_in_parts():
    """The first, the last and one between survive in whichever part they stand."""
    rng = np.random.default_rng(0)
    looks = Looks(np.zeros((300, 64), bool), rng.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8))
    looks.thumbnails[[299, 150]] = looks.thumbnails[[0, 149]]

    actual = picture_groups(looks)

    expected = np.full(300, -1)
    expected[[0, 299]], expected[[149, 150]] = 0, 149
    assert actual.tolist() == expected.tolist()


def test_views_of_drawn_products_are_no_duplicates(tmp_path):
    """They are what the data set is made for."""
    data = Products(n_train_classes=0, n_test_classes=8, n_views=5, size=32).open(None)

    assert (with_groups(data, tmp_path).groups == -1).all()


def test_groceries_and_clothes(real_data, tmp_path):
    """The same apples and the same potato twice; one photo that is filed as shorts and as a skirt."""
    context = DataContext(folders=(real_data,), cache=tmp_path)
    groceries = CsvTable(root="grocery160.zip", test_table="test.txt").open(context)
    clothes = ImageFolder(root="clothing160.zip", splits="merge").open(context)

    found = [with_groups(data, tmp_path) for data in (groceries, clothes)]

    pairs = [
        {data.ids[row].rpartition("/")[2] for row in np.flatnonzero(data.groups == group)}
        for data in found
        for group in np.unique(data.groups[data.rows(Split.TEST)])
        if group >= 0
    ]
    assert pairs == [
        {"Royal-Gala_052.jpg", "Royal-Gala_062.jpg"},
        {"Floury-Potato_006.jpg", "Floury-Potato_016.jpg"},
        {
            "6075b4a5-5b1a-4ce0-aea0-9dbfbca7c35c.jpg",
            "637a56e4-7fa6-4f75-8859-0f8902461554.jpg",
        },
    ]
