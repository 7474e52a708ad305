"""Revisited Oxford and Paris, on a small replica of the published layout."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
from unit.datasets.conftest import encoded

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.core.judgements import RevisitedGroundTruth
from cbir_bench.datasets.revisited import RevisitedOxfordParis, read_ground_truth

BASE = ["tower_000001", "tower_000002", "bridge_000001", "tree_000009"]
QUERIES = ["tower_000100", "bridge_000100"]
GND = [
    {"bbx": [1.2, 2, 4.6, 5.0], "easy": [1], "hard": [0], "junk": [3]},
    {"bbx": [0, 0, 6, 5], "easy": np.array([2]), "hard": [], "junk": np.empty(0)},
]
TABLE = {"imlist": BASE, "qimlist": QUERIES, "gnd": GND}


def write(album, table=TABLE, name="roxford5k", folder="roxford5k"):
    """Write the data set as its authors publish it."""
    for seed, one in enumerate([*QUERIES, *BASE]):
        album.put(f"{folder}/jpg/{one}.jpg", encoded(seed))
    album.put(f"{folder}/gnd_{name}.pkl", pickle.dumps(table))


def lists(found):
    return [one.tolist() for one in np.split(found.items, found.starts[1:-1])]


def test_the_published_layout_needs_no_option(album):
    """Queries first, then the base in the order of its list."""
    write(album)

    dataset = RevisitedOxfordParis().open(album.context)

    assert dataset.ids == (*(f"query/{name}" for name in QUERIES), *BASE)
    assert dataset.roles.tolist() == [Role.QUERY] * 2 + [Role.BASE] * 4
    assert set(dataset.splits) == {Split.TEST}
    assert dataset.name == "roxford5k"
    assert [dataset.labels.names[c] for c in dataset.labels.first()[:3]] == [
        "tower",
        "bridge",
        "tower",
    ]


def test_lists_of_images_become_lists_of_rows(album):
    """Base image 0 is row 2 after two queries; items that are no queries have empty lists."""
    write(album)

    judged = RevisitedOxfordParis().open(album.context).judgements

    assert lists(judged.easy) == [[3], [4], [], [], [], []]
    assert lists(judged.hard) == [[2], [], [], [], [], []]
    assert lists(judged.junk) == [[5], [], [], [], [], []]


def test_a_query_is_the_part_inside_its_box(album):
    """Rounded as the authors' loader does; base images stay whole."""
    write(album)

    images = RevisitedOxfordParis().open(album.context).images

    whole = images.photos.read([0, 1, 2])
    cut, all_of_it, base = images.read([0, 1, 2])
    assert np.array_equal(cut, whole[0][2:5, 1:5])
    assert np.array_equal(all_of_it, whole[1])
    assert np.array_equal(base, whole[2])
    assert images.read(np.array([3]))[0].shape == (5, 6, 3)


def test_a_box_outside_of_its_photo_is_named(album):
    """Photos of another size than the boxes were drawn in."""
    write(album, {**TABLE, "gnd": [{**GND[0], "bbx": [60, 50, 90, 90]}, GND[1]]})
    dataset = RevisitedOxfordParis().open(album.context)

    with pytest.raises(DataError, match=r"box of query 0 \(60, 50, 90, 90\) .* 6 x 5 pixels"):
        dataset.images.read([0])


def test_distractors_come_last(album):
    """A folder of any depth; they are in no list."""
    write(album)
    album.write("a/1.jpg", "b/2.jpg", folder="r1m")

    dataset = RevisitedOxfordParis(distractors="r1m").open(album.context)

    assert dataset.ids[-2:] == ("distractor/a/1.jpg", "distractor/b/2.jpg")
    assert dataset.roles[-2:].tolist() == [Role.BASE] * 2
    assert len(dataset.judgements) == 8
    assert dataset.judgements.easy.counts.sum() == 2


def test_distractors_may_be_skipped_but_nothing_that_is_in_the_lists(album):
    """A million files from the web have bad ones; a listed photo less would shift all the others."""
    write(album)
    album.write("1.jpg", "2.jpg", folder="r1m")
    album.put("r1m/1.jpg", "broken")
    reader = RevisitedOxfordParis(distractors="r1m", on_bad_image="skip")

    data = reader.open(album.context)

    assert data.ids[-1] == "distractor/2.jpg"
    assert len(data) == 7
    assert data.notes[-1] == "1 images left out: distractor/1.jpg (it is no picture)"
    album.put("roxford5k/jpg/tower_000001.jpg", "broken")
    with pytest.raises(DataError, match=r"1 photos of roxford5k .* first is 'tower_000001'"):
        reader.open(album.context)


def test_paris_in_an_archive(album):
    """Below whatever folder the archive has on top."""
    write(album, name="rparis6k", folder="paris")
    album.pack("paris", "paris.zip", top="some/")

    dataset = RevisitedOxfordParis(name="rparis6k", root="paris.zip").open(album.context)

    assert dataset.name == "rparis6k"
    assert len(dataset) == 6


@pytest.mark.parametrize("change", [{"easy": []}, {"bbx": [1, 2, 4, 4]}, {"junk": []}])
def test_the_hash_follows_lists_and_boxes(album, change):
    """The same pictures with other lists give other results."""
    write(album)
    before = RevisitedOxfordParis().open(album.context).content_hash
    write(album, {**TABLE, "gnd": [{**GND[0], **change}, GND[1]]})

    assert RevisitedOxfordParis().open(album.context).content_hash != before


def test_the_ground_truth_alone(tmp_path):
    """For rankings and vectors that were made elsewhere."""
    path = tmp_path / "gnd_roxford5k.pkl"
    path.write_bytes(pickle.dumps(TABLE, protocol=2))

    actual = read_ground_truth(path)

    assert isinstance(actual, RevisitedGroundTruth)
    assert actual.query_names == tuple(QUERIES)
    assert actual.base_names == tuple(BASE)
    assert actual.boxes.tolist() == [[1.2, 2, 4.6, 5], [0, 0, 6, 5]]
    assert lists(actual.judgements.hard) == [[0], []]


def without(key):
    return {name: value for name, value in TABLE.items() if name != key}


def with_first(**change):
    return {**TABLE, "gnd": [{**GND[0], **change}, GND[1]]}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([1, 2], "holds a list and no dictionary"),
        (without("qimlist"), "has no 'qimlist'"),
        ({**TABLE, "gnd": [{"ok": [1], "junk": [2], "bbx": [0, 0, 1, 1]}] * 2}, "has no 'easy'"),
        ({**TABLE, "gnd": GND[:1]}, "2 queries and the judgements of 1"),
        ({**TABLE, "imlist": "names"}, "a str in the place of a list"),
        ({**TABLE, "imlist": [1, 2, 3, 4]}, "name of an image is 1"),
        (with_first(easy=[4]), "lists item 4, but has 4 images"),
        (with_first(easy=[-1]), "lists item -1"),
        (with_first(easy=[0.5]), "float64 and not as whole numbers"),
        (with_first(easy=[1, 1]), "lists item 1 twice. List it once. Get gnd"),
        (with_first(easy=[0]), "in its easy list and in its hard list"),
        (with_first(bbx=[4, 2, 1, 5]), "box of a query"),
        (with_first(bbx=[0, 0, 1]), "box of a query"),
        (with_first(bbx=[0, 0, 1, float("nan")]), "box of a query"),
        (with_first(bbx=[0, 0, 1, "x"]), "is no ground truth"),
        ({**TABLE, "gnd": [3, 4]}, "is no ground truth"),
        ({"imlist": [], "qimlist": [], "gnd": []}, "0 queries"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path, table, words):
    """Each with what was found; the older lists of 2007 among them."""
    path = tmp_path / "gnd.pkl"
    path.write_bytes(pickle.dumps(table))

    with pytest.raises(DataError, match=words):
        read_ground_truth(path)


class Runs:
    def __reduce__(self):
        return os.system, ("touch proof",)


def test_a_malicious_file_is_refused(album, monkeypatch):
    """Pickles can run code when they are opened; this one cannot."""
    monkeypatch.chdir(album.root)
    write(album, {**TABLE, "imlist": [Runs()]})

    with pytest.raises(DataError, match=r"gnd_roxford5k.pkl is no file of lists. .*system"):
        RevisitedOxfordParis().open(album.context)
    assert not (album.root / "proof").exists()


def test_missing_files_are_named(album):
    """The list, the folder, a photo, the distractors."""
    with pytest.raises(DataError, match="no 'roxford5k'"):
        RevisitedOxfordParis().open(album.context)
    album.put("roxford5k/jpg/x.jpg", encoded(0))
    with pytest.raises(DataError, match=r"no gnd_roxford5k\.pkl"):
        RevisitedOxfordParis().open(album.context)
    write(album)
    (album.root / "roxford5k/jpg/tower_000002.jpg").unlink()
    with pytest.raises(DataError, match=r"tower_000002 \(there is no such file\). Replace them"):
        RevisitedOxfordParis().open(album.context)
    write(album)
    (album.root / "nothing").mkdir()
    with pytest.raises(DataError, match="no image in"):
        replace(RevisitedOxfordParis(), distractors="nothing").open(album.context)
    with pytest.raises(DataError, match="cannot be read"):
        read_ground_truth(album.root / "no.pkl")
