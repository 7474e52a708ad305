"""SIFT with visual words: options, learning from training images alone, and the vectors that come out."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles import bag_of_words_by_loops as loops
from safetensors.numpy import load_file, save_file
from unit.models.textures import silent, texture, training_data, uniform

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.core.errors import DataError, MissingPackageError, SettingError
from cbir_bench.core.model import FittedModel, Learned
from cbir_bench.core.training_data import TrainingData
from cbir_bench.datasets.omniglot import Omniglot
from cbir_bench.datasets.products import Products
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.models.colour_histogram import ColourHistogram
from cbir_bench.models.pixels import Pixels
from cbir_bench.models.sift import SiftModel
from cbir_bench.protocols.truth import leave_one_out

CONTEXT = DataContext(folders=(), cache=Path("unused"))
IMAGES = [texture(seed) for seed in range(8)]
SMALL = {"n_words": 12, "n_samples": 400, "n_iterations": 5}


def learnt(model, images=IMAGES):
    return dict(model.fit(CONTEXT, None, training_data(images), silent))


def ready(model, folder, images=IMAGES):
    path = folder / "learned.safetensors"
    save_file(learnt(model, images), path)
    return model.embedder(CONTEXT, Learned(fitted=path))


def embed(embedder, *images):
    (vectors,) = embedder.embed([embedder.prepare(list(images))])
    return vectors


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_nearest": 1},
        {"weighting": "none", "power": 1.0},
        {"weighting": "idf", "n_words": 60},
        {"root": False, "softness": 0.5},
        {"detector": "dense", "step": 12, "patches": "16, 20"},
        {"encoding": "vlad"},
        {"encoding": "vlad", "weighting": "smooth_idf", "normalise_words": True},
        {"encoding": "vlad", "pca_dim": 9, "n_nearest": 1, "power": 0.3},
    ],
    ids=str,
)
def test_vectors_are_what_the_papers_say(options, tmp_path) -> None:
    """The whole way from pixels, every option in its place: descriptors by OpenCV, all else by loops."""
    model = SiftModel(**SMALL | options, max_features=60)
    embedder = ready(model, tmp_path)
    learned = load_file(tmp_path / "learned.safetensors")
    image = texture(99)

    (actual,) = embed(embedder, image)

    describe = loops.root_sift if model.root else loops.plain_sift
    found = [describe(d) for d in model._features()(image)]
    if model.pca_dim:
        found = [loops.component_of(d, learned["mean"], learned["directions"]) for d in found]
    encode = loops.bag_of_words if model.encoding == "bow" else loops.vlad
    parts = encode(found, learned["centroids"], model.n_nearest, model.softness)
    expected = loops.normalised(
        parts, model.power, normalise_words=model.normalise_words, idf=learned.get("idf")
    )
    assert embedder.dim == len(expected)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("weighting", "naive"),
    [
        ("idf", loops.inverse_document_frequency),
        ("smooth_idf", loops.smooth_inverse_document_frequency),
    ],
)
def test_the_weights_count_the_training_images_that_have_each_word(weighting, naive) -> None:
    """By the nearest word of each descriptor, over all descriptors, not those of the sample."""
    model = SiftModel(**SMALL | {"n_words": 60}, weighting=weighting)
    learned = learnt(model)
    words = [
        {
            loops.nearest_words(loops.root_sift(d), learned["centroids"], 1)[0]
            for d in model._features()(image)
        }
        for image in IMAGES
    ]

    actual = learned["idf"]

    np.testing.assert_allclose(actual, naive(words, 60), rtol=1e-6)
    assert len(set(actual.tolist())) > 2


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"centroids", "idf"}),
        ({"encoding": "vlad"}, {"centroids"}),
        ({"weighting": "none"}, {"centroids"}),
        ({"encoding": "vlad", "pca_dim": 4}, {"centroids", "mean", "directions"}),
    ],
)
def test_no_more_is_learnt_than_is_used(options, names) -> None:
    """Weights of words cost a second look at every image."""
    data = training_data(IMAGES)

    learned = SiftModel(**SMALL | options).fit(CONTEXT, None, data, silent)

    n_looks = 2 if "idf" in names else 1
    assert set(learned) == names
    assert sorted(data.images.read_rows) == sorted([*range(8)] * n_looks)


def test_nothing_but_the_training_split_is_looked_at() -> None:
    """Validation images choose settings."""
    data = training_data(IMAGES, n_validation=3)
    told = []

    SiftModel(**SMALL).fit(CONTEXT, None, data, lambda *done: told.append(done))

    assert set(data.images.read_rows) == {3, 4, 5, 6, 7}
    assert told == sorted(told)
    assert told[-1] == (5, 5)


def test_the_same_images_teach_the_same_to_the_bit() -> None:
    """What is learnt is an artefact with a key; the seed is part of it."""
    first, second, other = (learnt(SiftModel(**SMALL, seed=seed)) for seed in (0, 0, 1))

    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert not np.array_equal(first["centroids"], other["centroids"])


@pytest.mark.parametrize("encoding", ["bow", "vlad"])
def test_images_without_features_are_like_each_other_and_no_other(encoding, tmp_path) -> None:
    """A vector of zeros would stop the run; an arbitrary one would be found by chance."""
    embedder = ready(SiftModel(**SMALL, encoding=encoding), tmp_path)

    vectors = embed(embedder, uniform(10), uniform(200, 3, 300), *IMAGES)

    similarity = vectors[0] @ vectors.T
    assert similarity[1] == pytest.approx(1, abs=1e-5)
    assert similarity[2:].max() < 0.2
    if encoding == "bow":
        assert similarity[2:].max() < 0


def test_a_copy_in_another_process_gives_the_same_vectors(tmp_path) -> None:
    """Readers may be processes; the arrays travel with the function."""
    embedder = ready(SiftModel(**SMALL), tmp_path)

    copy = pickle.loads(pickle.dumps(embedder.prepare))

    np.testing.assert_array_equal(copy(IMAGES), embedder.prepare(IMAGES))


def test_a_vector_is_the_same_to_the_bit_in_any_batch(tmp_path) -> None:
    """Batches are a matter of speed."""
    embedder = ready(SiftModel(**SMALL, encoding="vlad", pca_dim=16), tmp_path)

    together = embed(embedder, *IMAGES)
    alone = np.concatenate([embed(embedder, image) for image in IMAGES])

    np.testing.assert_array_equal(together, alone)


def test_defaults_depend_on_the_encoding() -> None:
    """A thousand words of VLAD would be 131,072 numbers; rarity helps counts, and hurts sums."""
    bow, vlad = SiftModel(), SiftModel(encoding="vlad")

    assert (bow.n_centroids, vlad.n_centroids) == (1024, 64)
    assert (bow.word_weighting, vlad.word_weighting) == ("smooth_idf", "none")
    assert bow.needs_fit
    assert isinstance(bow, FittedModel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 300, "max_size": 200}, "min_size = 300 is above max_size = 200"),
        ({"detector": "dense", "patches": "16, 16"}, "names no patches"),
        ({"detector": "dense", "patches": "16; 20"}, "names no patches"),
        ({"detector": "dense", "patches": "nan"}, "names no patches"),
        ({"detector": "dense", "patches": "2"}, "names no patches"),
        ({"detector": "dense", "patches": ""}, "names no patches"),
        ({"detector": "dense", "patches": "4,5,6,7,8,9,10,11,12"}, "names no patches"),
        ({"step": 4}, 'step is an option of detector = "dense"'),
        ({"patches": "24"}, 'patches is an option of detector = "dense"'),
        ({"n_nearest": 1, "softness": 0.3}, "softness decides between several"),
        ({"encoding": "vlad", "n_words": 600}, r"vectors of 76,800 numbers, more than 65,536"),
        ({"n_words": 500, "n_samples": 400}, "cannot be learnt from n_samples = 400"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message) -> None:
    """Before anything is read; an option that would change nothing but the key is one of them."""
    with pytest.raises(SettingError, match=message):
        SiftModel(**options)


@pytest.mark.parametrize("detector", ["dog", "dense"])
def test_too_few_descriptors_are_named(detector) -> None:
    """K-means cannot find more words than there are descriptors."""
    model = SiftModel(n_words=5000, detector=detector)

    with pytest.raises(SettingError, match=r"textures have [\d,]+ descriptors .* n_words = 5000"):
        learnt(model)


def test_images_that_show_nothing_teach_nothing() -> None:
    """The message says so, rather than faiss."""
    with pytest.raises(SettingError, match="textures have 0 descriptors"):
        learnt(SiftModel(**SMALL), [uniform()] * 4)


def test_without_training_images_there_is_nothing_to_learn_from() -> None:
    """All of them are for validation."""
    data = training_data(IMAGES, n_validation=8)

    with pytest.raises(SettingError, match="textures have 0 descriptors"):
        SiftModel(**SMALL).fit(CONTEXT, None, data, silent)


def test_without_a_vocabulary_there_are_no_vectors() -> None:
    """It has to be learnt first."""
    with pytest.raises(SettingError, match="SIFT has no vocabulary yet"):
        SiftModel().embedder(CONTEXT, Learned())


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_vocabulary_is_named(content, tmp_path) -> None:
    """With its file."""
    path = tmp_path / "learned.safetensors"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"learned.safetensors holds no vocabulary"):
        SiftModel().embedder(CONTEXT, Learned(fitted=path))


def test_a_missing_opencv_can_be_named(monkeypatch) -> None:
    """Whoever runs the model is told the extra to install."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "cbir_bench.models.local.features", raising=False)
    monkeypatch.delitem(sys.modules, "cbir_bench.models.local.learning", raising=False)

    with pytest.raises(ModuleNotFoundError) as caught:
        learnt(SiftModel(**SMALL))

    assert caught.value.name == "cv2"
    assert "cbir-bench[sift]" in str(MissingPackageError("SIFT", caught.value.name))


def full_base(vectors, labels):
    """Return average precision, every image asked for and the others searched."""
    truth = leave_one_out(labels)
    vectors = unit_rows(vectors)
    similarities = Similarities(queries=vectors, base=vectors, space="cosine")
    found = complete_quotients(["ap"], similarities, truth, device="numpy")
    return float(np.nanmean(found["ap"].scores))


@pytest.mark.parametrize("encoding", ["bow", "vlad"])
def test_keypoints_tell_products_apart_better_than_pixels_and_colours(encoding, tmp_path) -> None:
    """Turned, scaled, on another ground each time, of classes that were never learnt from."""
    data = Products(n_train_classes=24, n_test_classes=24, n_views=8, seed=3).open(CONTEXT)
    model = SiftModel(encoding=encoding, n_words=512 if encoding == "bow" else 16, n_samples=8000)
    path = tmp_path / "learned.safetensors"
    save_file(dict(model.fit(CONTEXT, None, TrainingData.of(data), silent)), path)
    rows = data.rows(Split.TEST)
    images, labels = data.images.read(rows.tolist()), data.labels.take(rows)

    sift, pixels, colours = (
        full_base(embed(embedder, *images), labels)
        for embedder in (model.embedder(CONTEXT, Learned(fitted=path)), Pixels(), ColourHistogram())
    )

    assert sift > 1.5 * max(pixels, colours)


def test_a_grid_reads_handwriting_better_than_pixels(real_data, tmp_path) -> None:
    """Characters of alphabets that were never learnt from; a grid is best for small, upright images."""
    context = DataContext(folders=(real_data,), cache=tmp_path)
    data = Omniglot(every=4).open(context)
    known = data.labels.first()
    classes = np.unique(known[data.rows(Split.TEST)])[::8]
    rows = np.flatnonzero(np.isin(known, classes))
    model = SiftModel(detector="dense", n_words=256, n_samples=20_000)
    some = TrainingData.of(data)
    some = replace(
        some, splits=np.where(np.arange(len(some)) % 25, Split.VAL, Split.TRAIN).astype(np.int8)
    )
    path = tmp_path / "learned.safetensors"
    save_file(dict(model.fit(context, None, some, silent)), path)
    images, labels = data.images.read(rows.tolist()), data.labels.take(rows)

    sift, pixels = (
        full_base(embed(embedder, *images), labels)
        for embedder in (model.embedder(context, Learned(fitted=path)), Pixels())
    )

    assert sift > 2 * pixels
