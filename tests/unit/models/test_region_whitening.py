"""The whitening of R-MAC's regions: learnt from training images alone, applied as learnt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from live_images import LiveImages
from oracles import pooling_by_loops as loops
from safetensors.numpy import save_file

from cbir_bench.core import lazy_images
from cbir_bench.core.dataset import DataContext, LabelSets, Split
from cbir_bench.core.errors import SettingError
from cbir_bench.core.model import FittedModel, Learned
from cbir_bench.core.training_data import TrainingData
from cbir_bench.models.timm_backbone import TimmModel

CONTEXT = DataContext(folders=(), cache=Path("unused"))
OPTIONS = {"backbone": "test_efficientnet", "image_size": 64, "pooling": "rmac", "device": "cpu"}
PLAIN = TimmModel(**OPTIONS)
WHITENED = TimmModel(**OPTIONS, region_pca=6)


@dataclass
class Noise:
    """Images of noise that remember which of them were read."""

    read_rows: list

    def read(self, rows):
        self.read_rows.extend(rows)
        return [image(row) for row in rows]


def image(row):
    draw = np.random.default_rng(row)
    return draw.integers(0, 256, (20, 30, 3), dtype=np.uint8).repeat(3, axis=0).repeat(3, axis=1)


def training(n, n_validation=3):
    splits = [Split.VAL] * n_validation + [Split.TRAIN] * n
    source = Noise([])
    data = TrainingData(
        name="noise",
        ids=tuple(str(i) for i in range(len(splits))),
        labels=LabelSets.of(["a"] * len(splits)),
        splits=np.array(splits, np.int8),
        images=source,
    )
    return data, source


def silent(n_done, n_total):
    pass


def learnt(n=70, model=WHITENED, trained=None):
    return model.fit(CONTEXT, trained, training(n)[0], silent)


def maps_of(rows):
    """Return what is pooled, by the backbone itself."""
    network = PLAIN.network(CONTEXT).eval()
    pixels = torch.from_numpy(network.prepare([image(row) for row in rows]))
    with torch.inference_mode():
        return network.features(pixels).numpy()


def test_only_a_model_that_whitens_needs_to_learn() -> None:
    """A data set without training split serves all the others."""
    needs = PLAIN.needs_fit, WHITENED.needs_fit

    assert needs == (False, True)
    assert isinstance(PLAIN, FittedModel)


def test_the_whitening_is_that_of_all_regions_of_the_training_images() -> None:
    """Summed batch by batch, and equal to the decomposition of all regions at once."""
    regions = [v for one in maps_of(range(3, 73)) for v in loops.region_vectors(one, 3)]
    mean, projection = loops.whitening(regions, 6)

    actual = learnt(70)

    signs = np.sign((actual["projection"] * projection).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(actual["mean"], mean, atol=1e-6)
    np.testing.assert_allclose(actual["projection"] * signs, projection, rtol=0.02, atol=0.02)


def test_whitened_regions_have_unit_variance_and_no_correlation() -> None:
    """That is what whitening is for."""
    arrays = learnt(70)
    regions = [v for one in maps_of(range(3, 73)) for v in loops.region_vectors(one, 3)]

    actual = np.cov((regions - arrays["mean"]) @ arrays["projection"].T, rowvar=False)

    np.testing.assert_allclose(actual, np.eye(6), atol=0.01)


def test_nothing_but_the_training_split_is_looked_at() -> None:
    """Validation images choose settings, and there are no others."""
    data, source = training(5)
    told = []

    WHITENED.fit(CONTEXT, None, data, lambda *done: told.append(done))

    assert sorted(source.read_rows) == [3, 4, 5, 6, 7]
    assert told[-1] == (5, 5)


def test_the_model_whitens_as_it_has_learnt(tmp_path) -> None:
    """Written from the paper: whiten each region, scale it again, add up, scale."""
    arrays = learnt()
    save_file(dict(arrays), tmp_path / "learned.safetensors")
    embedder = WHITENED.embedder(CONTEXT, Learned(fitted=tmp_path / "learned.safetensors"))

    (actual,) = embedder.embed([embedder.prepare([image(row) for row in (0, 1)])])

    expected = [
        loops.unit(loops.rmac(one, 3, arrays["mean"], arrays["projection"]))
        for one in maps_of((0, 1))
    ]
    assert embedder.dim == 6
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_the_same_images_teach_the_same_to_the_bit() -> None:
    """What is learnt is an artefact with a key."""
    first, second = learnt(), learnt()

    for name in ("mean", "projection"):
        np.testing.assert_array_equal(first[name], second[name])


def test_a_trained_models_regions_are_whitened_as_trained(tmp_path) -> None:
    """The whitening of other weights would be none."""
    from safetensors.torch import save_file as save_tensors

    other = TimmModel(**OPTIONS, seed=9)
    save_tensors(other.network(CONTEXT).state_dict(), tmp_path / "trained.safetensors")
    expected = learnt(model=TimmModel(**OPTIONS, seed=9, region_pca=6))

    actual = learnt(trained=tmp_path / "trained.safetensors")

    np.testing.assert_array_equal(actual["projection"], expected["projection"])


def test_more_directions_than_the_regions_have_are_refused() -> None:
    """One image has 14 regions; whitening would divide noise by nothing."""
    model = TimmModel(**OPTIONS, region_pca=40)

    with pytest.raises(SettingError, match=r"vary in \d+ directions, fewer than region_pca = 40"):
        learnt(1, model)


def test_a_data_set_without_training_split_is_refused() -> None:
    """There is nothing to learn from."""
    with pytest.raises(SettingError, match="region_pca = 6 is learnt from a training split"):
        learnt(0)


def test_a_whitening_that_was_not_learnt_is_asked_for() -> None:
    """Unwhitened vectors under a whitened name would go unnoticed."""
    with pytest.raises(SettingError, match="region_pca = 6 is learnt from a training split"):
        WHITENED.embedder(CONTEXT, Learned())


def test_few_photos_are_in_memory_at_once(monkeypatch) -> None:
    """A batch of 64 photos of 12 megapixels would take 2 GB, and two batches are read at once."""
    monkeypatch.setattr(lazy_images, "_KEPT_BYTES", 0)
    data, photos = training(130)[0], LiveImages(70)

    WHITENED.fit(CONTEXT, None, replace(data, images=photos), silent)

    assert len(photos.rows) == 130
    assert photos.most <= 2 * 2  # for each thread the one that is resized and the one before
