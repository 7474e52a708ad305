"""Persons and cameras, on a small replica of the published layout."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.datasets.market1501 import Market1501

ROOT = "Market-1501-v15.09.15"
FILES = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000451_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0003_c3s3_064744_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0000_c4s1_000151_01.jpg",
    "bounding_box_test/0001_c1s1_002401_02.jpg",
    "bounding_box_test/0001_c2s1_002401_02.jpg",
)


@pytest.fixture
def market(album):
    """The data set in small, with a file that an operating system left."""
    album.write(*FILES, folder=ROOT)
    album.put(f"{ROOT}/query/Thumbs.db", "x")
    album.put(f"{ROOT}/readme.txt", "x")
    return album


def test_the_published_layout_needs_no_option(market):
    """Three folders are training, queries and base; person and camera stand in the names."""
    data = Market1501().open(market.context)

    kept = [name for name in FILES if "-1_" not in name]
    assert data.ids == tuple(kept)
    assert data.splits.tolist() == [Split.TRAIN] * 2 + [Split.TEST] * 6
    assert data.roles.tolist() == [Role.ANY] * 2 + [Role.QUERY] * 2 + [Role.BASE] * 4
    assert data.cameras.tolist() == [0, 1, 0, 2, 0, 3, 0, 1]
    assert [data.labels.names[c] for c in data.labels.first()[:4]] == [
        "0002",
        "0002",
        "0001",
        "0003",
    ]


def test_distractors_are_relevant_to_nobody(market):
    """Not even to each other, where everything is a query."""
    data = Market1501().open(market.context)

    codes = data.labels.first().tolist()
    distractors = [codes[row] for row, name in enumerate(data.ids) if "0000_" in name]
    assert [codes.count(code) for code in distractors] == [1, 1]
    assert "2 pictures of the base are distractors" in " ".join(data.notes)


def test_junk_of_all_queries_is_left_out_and_told(market):
    """Removed from every ranking or never in the base: the same ranks."""
    data = Market1501().open(market.context)

    assert not any("-1_" in name for name in data.ids)
    assert "1 pictures of person -1 are left out" in " ".join(data.notes)


def test_it_opens_in_an_archive(market):
    """As it is downloaded, with its folder on top."""
    market.pack(ROOT, "market.zip", top=f"{ROOT}/")

    data = Market1501(root="market.zip").open(market.context)

    assert len(data) == 8
    assert np.array_equal(data.cameras, Market1501().open(market.context).cameras)


def test_the_hash_follows_the_camera(market):
    """The same picture by another camera is another data set."""
    before = Market1501().open(market.context).content_hash
    path = market.root / ROOT / FILES[-1]
    path.rename(path.with_name("0001_c3s1_002401_02.jpg"))

    assert Market1501().open(market.context).content_hash != before


def test_other_names_are_named(market):
    """A picture without person and camera cannot take part."""
    market.write("query/photo.jpg", folder=ROOT)

    with pytest.raises(DataError, match=r"1 of 3 pictures .*: .*query/photo.jpg"):
        Market1501().open(market.context)


@pytest.mark.parametrize("folder", ["query", "bounding_box_test"])
def test_a_missing_folder_is_named(album, folder):
    """Mostly the folder above was given."""
    album.write(*(name for name in FILES if not name.startswith(folder)), folder=ROOT)

    with pytest.raises(DataError, match=f"no pictures in {folder}/"):
        Market1501().open(album.context)
