"""Checkpoints of this project say what they were made as, and are taken for nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError
from cbir_bench.core.model import Learned
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.training.log import TrainingLog
from cbir_bench.training.store import CheckpointStore

WIDE = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
LOG = TrainingLog(
    losses=(1.0,),
    seconds=1.0,
    cpu_seconds=1.0,
    read_seconds=0.0,
    n_images=1,
    n_classes=1,
    n_left_out=0,
    device="cpu",
)
LINEAR = {"embedding_dim": 12}
CGD = {"embedding_dim": 12, "head": "cgd"}


@pytest.fixture
def context(tmp_path: Path) -> DataContext:
    """The test's own folder, where weight files are looked up."""
    return DataContext(folders=(tmp_path,), cache=tmp_path)


def model(**options):
    return TimmModel(**{"backbone": "test_efficientnet", "image_size": 64, **options})


def checkpoint(context, name="first", **options):
    """Return the path of what the trainer would leave of a model, and the model's network."""
    network = model(**{"weights": "train", "seed": 5, **options}).network(context)
    path = CheckpointStore(context.cache).save(name, network, LOG, {})
    return str(path), network.eval()


def vectors(made, context, learned=None):
    embedder = made.embedder(context, learned or Learned())
    (found,) = embedder.embed([embedder.prepare([WIDE])])
    return found


def in_training(network):
    with torch.inference_mode():
        return network(torch.from_numpy(network.prepare([WIDE]))).numpy()


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in right)


@pytest.mark.parametrize(
    "options",
    [
        CGD,
        LINEAR,
        {"pooling": "gem", "gem_p": 5.0},
        {"pooling": "gem", "gem_p": 5.0, "gem_fixed": True},
        {"weights": "random", "pooling": "rmac", "rmac_levels": 2},
    ],
)
def test_a_checkpoint_gives_the_vectors_that_it_was_trained_to_give(context, options) -> None:
    """Nothing but the model's own options is to be said again; framing is what training saw."""
    path, network = checkpoint(context, **options)

    actual = vectors(model(**options | {"weights": path, "seed": 0}), context)

    np.testing.assert_allclose(actual, in_training(network), atol=1e-5)


@pytest.mark.parametrize(
    ("saved", "wanted", "words"),
    [
        (CGD, {**CGD, "descriptors": "GSM"}, [r'descriptors = "SMG", not "GSM"']),
        (LINEAR, {**LINEAR, "pooling": "max"}, [r'pooling = "avg", not "max"']),
        (LINEAR, {**LINEAR, "pooling": "rmac"}, [r'pooling = "avg", not "rmac"']),
        ({"pooling": "rmac"}, {"pooling": "rmac", "rmac_levels": 2}, ["rmac_levels = 3, not 2"]),
        (CGD, {**CGD, "gem_p": 4.0}, [r"gem_p = 3\.0, not 4\.0"]),
        (LINEAR, {}, ["embedding_dim = 12, not 0"]),
        (
            CGD,
            {"embedding_dim": 9, "pooling": "max"},
            [
                'pooling = "avg", not "max"',
                'head = "cgd", not "linear"',
                "embedding_dim = 12, not 9",
            ],
        ),
        (
            LINEAR,
            {**LINEAR, "backbone": "test_resnet"},
            [r'backbone = "test_efficientnet\.r160_in1k"'],
        ),
    ],
)
def test_what_was_trained_otherwise_is_refused_by_option(context, saved, wanted, words) -> None:
    """Its layers fit, so the vectors would be wrong without a word."""
    path, _ = checkpoint(context, **saved)

    for word in words:
        with pytest.raises(DataError, match=rf"was trained with .*{word}.* Set these options"):
            vectors(model(weights=path, **wanted), context)


@pytest.mark.parametrize(
    ("saved", "wanted"),
    [
        (CGD, {**CGD, "descriptors": "GSM"}),
        (LINEAR, {**LINEAR, "pooling": "max"}),
    ],
)
def test_fine_tuning_takes_the_backbone_alone_of_another_head(context, saved, wanted) -> None:
    """Reductions of another branch are worth no more than those of the seed."""
    path, trained = checkpoint(context, **saved)

    actual = model(weights=path, seed=1, **wanted).network(context)

    by_seed = model(seed=1, **wanted).network(context)
    assert same(actual.backbone.state_dict(), trained.backbone.state_dict())
    assert same(actual.head.state_dict(), by_seed.head.state_dict())


@pytest.mark.parametrize("options", [CGD, {**LINEAR, "pooling": "gem", "gem_p": 4.0}])
def test_fine_tuning_goes_on_with_the_very_same_head(context, options) -> None:
    """Where a learnt exponent starts is no other pooling."""
    path, trained = checkpoint(context, **options)
    start = {"gem_p": 2.0} if options.get("pooling") else {}

    actual = model(weights=path, seed=1, **options | start).network(context)

    assert same(actual.state_dict(), trained.state_dict())


@pytest.mark.parametrize("framing", ["crop", "whole"])
def test_auto_framing_is_that_of_the_first_training_through_every_stage(context, framing) -> None:
    """A second stage, and the vectors after it, see images as the first one did."""
    first, _ = checkpoint(context, framing=framing, **LINEAR)
    second, network = checkpoint(context, "second", weights=first, **LINEAR)
    expected = model(framing=framing).network(context).prepare([WIDE])

    in_second = network.prepare([WIDE])
    afterwards = model(weights=second, **LINEAR)
    trained_here = vectors(model(weights=first, **LINEAR), context, Learned(trained=Path(second)))

    np.testing.assert_array_equal(in_second, expected)
    np.testing.assert_array_equal(afterwards.embedder(context, Learned()).prepare([WIDE]), expected)
    np.testing.assert_array_equal(trained_here, vectors(afterwards, context))


def test_a_framing_that_is_set_is_kept(context) -> None:
    """What was trained with is a default, no rule."""
    path, _ = checkpoint(context, framing="whole", **LINEAR)
    expected = model(framing="crop").network(context).prepare([WIDE])

    actual = model(weights=path, framing="crop", **LINEAR).embedder(context, Learned())

    np.testing.assert_array_equal(actual.prepare([WIDE]), expected)


def test_the_hubs_default_tag_is_the_same_backbone(context) -> None:
    """``resnet18`` is short for one of its tags."""
    path, network = checkpoint(context, **LINEAR)

    actual = vectors(model(backbone="test_efficientnet.r160_in1k", weights=path, **LINEAR), context)

    np.testing.assert_allclose(actual, in_training(network), atol=1e-5)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "3"])
def test_a_damaged_header_is_named(context, tmp_path, text) -> None:
    """It must not count as a file that says nothing."""
    path, _ = checkpoint(context, **LINEAR)
    save_file(load_file(path), tmp_path / "a.safetensors", metadata={"made_as": text})

    for use in (vectors, TimmModel.network):
        with pytest.raises(DataError, match=r"header of .*a\.safetensors is damaged"):
            use(model(weights="a.safetensors", **LINEAR), context)
