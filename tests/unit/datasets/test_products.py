"""The invented products: pure, disjoint, the same for ever."""

import hashlib
import math
import pickle

import numpy as np
import pytest

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.datasets import artwork, scene
from cbir_bench.datasets.draws import Draws, bell_curve
from cbir_bench.datasets.products import GENERATOR_VERSION, Products

GOLDEN = {
    "easy": "bdbcc900ff5464701ef04fbbb280794e89c54a7f3b26abe52f34123929347800",
    "medium": "0b71eaab913f2221a839ea82c96c06353a6b04170158f0401bd9e76814a19a88",
    "hard": "e0e0e0a7333e815f09f8802de9e5cb4f20456c2046a53e40a4df85b9badd2b5f",
}
"""SHA-256 of six images of each level, for GENERATOR_VERSION 1."""


@pytest.fixture
def context(tmp_path):
    return DataContext(folders=(), cache=tmp_path)


def small(**options):
    return Products(
        **{"n_train_classes": 5, "n_test_classes": 6, "n_views": 3, "size": 32, **options}
    )


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_images_never_change(context, level):
    """Records made years apart are compared by data hash; other pixels need another GENERATOR_VERSION."""
    dataset = small(level=level).open(context)

    images = dataset.images.read([0, 4, 8, 16, 20, 32])

    assert GENERATOR_VERSION == 1
    assert hashlib.sha256(np.stack(images).tobytes()).hexdigest() == GOLDEN[level]


def forget():
    for cached in (
        artwork.grid,
        artwork.palettes,
        scene._packed,
        scene._thing,
        scene._ramp,
        scene._noise,
    ):
        cached.cache_clear()


def test_the_last_bits_of_a_library_do_not_show(context, monkeypatch):
    """Sines differ between processors and versions in their last bits; images must not."""
    images = small(level="hard", n_test_classes=20).open(context).images
    forget()
    expected = images.read(range(75))
    rng = np.random.default_rng(0)

    def wrong(function):
        return lambda *x, **k: (
            (y := function(*x, **k)) * (1 + rng.integers(-4, 5, np.shape(y)) * 2.0**-53)
        )

    for module, names in ((np, ("sin", "cos", "arctan2", "sqrt")), (math, ("sin", "cos"))):
        for name in names:
            monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    forget()
    actual = images.read(range(75))
    forget()

    assert len({float(np.sin(1.0)) for _ in range(20)}) > 1
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))


def test_an_image_depends_on_seed_class_and_view_only(context):
    """More classes or views must add images, not change those that were there."""
    few, many = (
        small().open(context),
        small(n_train_classes=9, n_test_classes=11, n_views=5).open(context),
    )
    shared = [i for i in few.ids if i in many.ids]

    one = few.images.read([few.ids.index(i) for i in shared])
    other = many.images.read([many.ids.index(i) for i in shared])

    assert shared == list(few.ids)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_rows_may_be_read_in_any_order(context):
    """Batches are shuffled in training and parallel when freezing."""
    dataset = small().open(context)

    forward = dataset.images.read(range(33))
    backward = dataset.images.read(range(32, -1, -1))[::-1]

    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))


def test_splits_share_no_class_and_no_family(context):
    """A sibling of a test product in training would make unseen classes half seen."""
    dataset = small(n_val_classes=4).open(context)
    family = np.array([dataset.labels.names[c].split("-")[0] for c in dataset.labels.first()])

    families = [set(family[dataset.rows(split)]) for split in Split]

    assert [len(dataset.rows(split)) for split in Split] == [15, 12, 18]
    assert not families[0] & families[1]
    assert not families[0] & families[2]
    assert not families[1] & families[2]


def test_a_family_is_a_coarse_class(context):
    """Its variants differ in colours and details."""
    dataset = small().open(context)
    coarse = dataset.labels_called("coarse")

    fine = [dataset.labels.names[c] for c in dataset.labels.first()]

    assert [coarse.names[c] for c in coarse.first()] == [name.split("-")[0] for name in fine]


def test_ids_name_class_and_view(context):
    """Reports show ids; they have to say what an item is."""
    dataset = small().open(context)

    assert dataset.ids[0] == "class00000/view000"
    assert dataset.ids[-1] == "class00021/view002"
    assert dataset.labels.names[-1] == "family0005-variant1"


@pytest.mark.parametrize("change", [{"seed": 1}, {"level": "hard"}, {"size": 33}, {"n_views": 4}])
def test_another_setting_is_another_hash(context, change):
    """Frozen embeddings are found by this hash."""
    assert small().open(context).content_hash != small(**change).open(context).content_hash


@pytest.mark.parametrize("change", [{"seed": 1}, {"level": "medium"}])
def test_another_setting_is_another_image(context, change):
    """An option that changed the hash but no pixel would be a lie."""
    one, other = (small(**c).open(context).images.read([0])[0] for c in ({}, change))

    assert not np.array_equal(one, other)


@pytest.mark.parametrize("size", [16, 17, 300])
def test_any_size_is_drawn(context, size):
    """Backbones want anything from 28 to 512 pixels; clutter must fit where it crosses the border."""
    dataset = small(size=size, level="hard", n_train_classes=0, n_test_classes=2).open(context)

    actual = dataset.images.read(range(6))

    assert {image.shape for image in actual} == {(size, size, 3)}


def test_levels_get_harder(context):
    """The level is the axis that keeps models from saturating: colours in the middle find ever less."""

    def hit_rate(level):
        dataset = Products(
            n_train_classes=0, n_test_classes=32, n_views=8, size=32, level=level
        ).open(context)
        middle = np.stack(dataset.images.read(range(256))).astype(np.int64)[:, 10:22, 10:22]
        bins = (middle // 64 * [16, 4, 1]).sum(axis=3).reshape(256, -1)
        histograms = np.sqrt([np.bincount(b, minlength=64) for b in bins])
        similarity = histograms @ histograms.T - 1e9 * np.eye(256)
        labels = dataset.labels.first()
        return np.mean(labels[similarity.argmax(axis=1)] == labels)

    rates = {level: hit_rate(level) for level in ("easy", "medium", "hard")}

    chance = 7 / 255
    assert 8 * chance < rates["easy"] < 0.9
    assert rates["easy"] > 1.2 * rates["medium"] > 1.2 * 1.2 * rates["hard"] > 2 * chance


def test_images_survive_pickling(context):
    """Freezing may read in other processes."""
    images = small().open(context).images

    copied = pickle.loads(pickle.dumps(images))

    assert np.array_equal(copied.read([7])[0], images.read([7])[0])


def test_draws_go_on_when_the_first_bits_are_used_up():
    """The stream must not repeat itself where one image needs more than a chunk."""
    draws = Draws(1, 2)

    actual = draws.units(3, 400)

    assert len(np.unique(actual)) == 1200
    assert 0 <= actual.min() < 0.01
    assert 0.99 < actual.max() < 1


def test_streams_of_different_keys_differ():
    """Class 1 with view 2 is not class 2 with view 1."""
    assert Draws(1, 2).unit() != Draws(2, 1).unit()


def test_noise_is_nearly_normal():
    """Levels state the noise in grey levels of standard deviation."""
    noise = bell_curve(20_000, 3)

    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
