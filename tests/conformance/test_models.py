"""Every registered model, ours and other packages', keeps the promises of the border `models`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from unit.models.textures import silent, training_data
from unit.models.tiny_clip import described

from cbir_bench.core.component import field_types, help_texts
from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import SettingError
from cbir_bench.core.model import FittedModel, GivenVectors, Learned
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.model import Embedder, Model

OPTIONS = {
    "open_clip": {"model": "tiny_clip.json"},
    "given_vectors": {"file": "vectors.npy"},
    "sift": {"n_words": 16},
}
"""Of models whose default takes long to make, or to learn, or lacks a file."""
NAMES = MODELS.names()
SIZES = [(1, 1), (3, 200), (64, 64), (231, 97), (17, 16)]


def noise_images(seed: int = 0) -> list[np.ndarray]:
    """Return one image of noise for each size, and one of a single colour."""
    draw = np.random.default_rng(seed)
    noise = [draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    return [*noise, np.full((20, 30, 3), 40, np.uint8)]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each registered model."""
    return request.param


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> DataContext:
    """A place without any file but the description of a small model, and vectors."""
    folder: Path = tmp_path_factory.mktemp("data")
    np.save(folder / "vectors.npy", np.eye(3, dtype=np.float32))
    described(folder)
    return DataContext(folders=(folder,), cache=folder)


def made(name: str) -> Model:
    """Return a model with its default options, or small ones where these take long."""
    return MODELS.get(name)(**OPTIONS.get(name, {}))


@pytest.fixture(scope="module")
def _reads_images(name: str) -> None:
    """Skip models that have their vectors from a file."""
    if isinstance(made(name), GivenVectors):
        pytest.skip(f"{name} reads no images")


def ready(name: str, context: DataContext) -> Embedder:
    """Return a model, ready; what it learns without gradients, it has learnt from noise."""
    model = made(name)
    if not (isinstance(model, FittedModel) and model.needs_fit):
        return model.embedder(context, Learned())
    arrays = model.fit(context, None, training_data(noise_images(seed=9)), silent)
    path = context.cache / f"{name}.safetensors"
    save_file(dict(arrays), path)
    return model.embedder(context, Learned(fitted=path))


@pytest.fixture(scope="module")
def embedder(name: str, context: DataContext, _reads_images: None) -> Embedder:
    """Each model, ready."""
    return ready(name, context)


def test_is_a_frozen_dataclass_with_help_for_every_option(name: str) -> None:
    """The fields are the sweep axes and the help that `list` prints."""
    model = MODELS.get(name)

    texts = help_texts(model)

    assert is_dataclass(model)
    assert model.__dataclass_params__.frozen
    assert sorted(texts) == sorted(f.name for f in fields(model))
    assert set(field_types(model)) == set(texts)


def test_gives_finite_float32_unit_vectors_for_images_of_any_size(embedder: Embedder) -> None:
    """One image of one pixel must not stop a run of a million."""
    images = noise_images()

    (actual,) = embedder.embed([embedder.prepare(images)])

    assert actual.dtype == np.float32
    assert actual.shape == (len(images), embedder.dim)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, atol=1e-5)


@pytest.mark.usefixtures("_reads_images")
def test_the_same_images_give_the_same_vectors(name: str, context: DataContext) -> None:
    """Frozen vectors are addressed by their settings, so these must decide them."""
    first, second = (ready(name, context) for _ in range(2))

    once, again = (
        np.concatenate(list(e.embed([e.prepare(noise_images())]))) for e in (first, second)
    )

    np.testing.assert_array_equal(once, again)


def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    """Batch statistics at evaluation would make every vector depend on its neighbours."""
    images = noise_images(seed=1)

    (together,) = embedder.embed([embedder.prepare(images)])
    alone = np.concatenate(list(embedder.embed(embedder.prepare([image]) for image in images)))

    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_different_images_give_different_vectors(embedder: Embedder) -> None:
    """A model that sees nothing would pass every test above."""
    images = [image for image in noise_images(seed=2) if min(image.shape[:2]) >= 20]

    (actual,) = embedder.embed([embedder.prepare(images)])

    similarity = actual @ actual.T - 2 * np.eye(len(images))
    assert similarity.max() < 1 - 1e-6


def test_images_are_never_changed(embedder: Embedder) -> None:
    """The reader may hand out its own cache."""
    images = noise_images(seed=3)
    for image in images:
        image.setflags(write=False)

    (actual,) = embedder.embed([embedder.prepare(images)])

    assert len(actual) == len(images)


def test_the_weights_have_an_identity(name: str, context: DataContext) -> None:
    """It is part of the key of everything that is frozen."""
    actual = made(name).weights_hash(context)

    assert actual
    assert actual == made(name).weights_hash(context)


def test_what_cannot_be_trained_says_so(name: str, context: DataContext) -> None:
    """A training table below a colour histogram is a mistake in the suite file."""
    model = made(name)
    if model.TRAINABLE:
        assert model.network(context).dim > 0
    else:
        with pytest.raises(SettingError, match="nothing to train"):
            model.network(context)
