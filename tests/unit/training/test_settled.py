"""The numbers that a recipe leaves to what is trained, and on what."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.build import loaded_network, make_network, network_to_train
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.training.classes import choose_material
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.settled import settled
from cbir_bench.training.trainer import train

SMALL = {"steps": 12, "images_per_class": 2, "n_threads": 1}


class UnreadableImages:
    """Refuses to be read."""

    def read(self, rows):
        raise AssertionError(rows)


@pytest.mark.parametrize(("pretrained", "rate"), [(False, 1e-2), (True, 3e-4)])
def test_pretrained_weights_take_smaller_steps(pretrained, rate, make_data, make_network) -> None:
    """The rate that random weights need takes what they know away within a few steps."""
    network = make_network()
    network.pretrained = pretrained

    log = train(network, make_data(*[6] * 8), TrainingRecipe(**SMALL, warmup=0))

    assert max(log.learning_rates) == rate


def test_a_network_that_does_not_say_starts_from_the_seed(make_data, make_network) -> None:
    """Any torch module can be trained."""
    log = train(make_network(), make_data(*[6] * 8), TrainingRecipe(**SMALL, warmup=0))

    assert max(log.learning_rates) == 1e-2


@pytest.mark.parametrize(
    ("loss", "pretrained", "rate"),
    [
        ("arcface", False, 0.3),
        ("arcface", True, 0.3),
        ("proxy-anchor", False, 0.1),
        ("proxy-anchor", True, 0.03),
        ("cross-entropy", False, 0.3),
        ("cross-entropy", True, 0.3),
        ("contrastive", False, 0.0),
        ("contrastive", True, 0.0),
    ],
)
def test_class_weights_keep_step_with_the_network(loss, pretrained, rate) -> None:
    """Losses over pairs have none, and refuse a rate for them."""
    actual = settled(TrainingRecipe(loss=loss), 100, pretrained=pretrained)

    assert actual.loss_learning_rate == rate


@pytest.mark.parametrize("loss", ["arcface", "proxy-anchor", "cross-entropy"])
@pytest.mark.parametrize("pretrained", [False, True])
def test_class_weights_move_at_their_own_rate(loss, pretrained, make_data, make_network) -> None:
    """The rate written out gives the same weights; another one does not."""
    recipe = {**SMALL, "loss": loss, "learning_rate": 5e-3}
    own = settled(TrainingRecipe(**recipe), 8, pretrained=pretrained).loss_learning_rate
    networks = [make_network() for _ in range(3)]

    for network, rate in zip(networks, (0.0, own, 2 * own), strict=True):
        network.pretrained = pretrained
        recipe_at_rate = TrainingRecipe(**recipe, loss_learning_rate=rate)
        train(network, make_data(*[6] * 8), recipe_at_rate)

    by_default, written_out, other = (network.head.weight for network in networks)
    assert torch.equal(by_default, written_out)
    assert not torch.equal(by_default, other)


@pytest.mark.parametrize("pretrained", [False, True])
def test_what_a_recipe_names_is_kept(pretrained) -> None:
    """Whoever names a number has a reason."""
    recipe = TrainingRecipe(
        loss="arcface",
        classes_per_batch=5,
        images_per_class=3,
        learning_rate=0.02,
        loss_learning_rate=0.4,
        freeze_norm=True,
    )

    actual = settled(recipe, 100, pretrained=pretrained)

    assert asdict(actual) == asdict(recipe)


@pytest.mark.parametrize(
    ("loss", "n_classes", "expected"),
    [
        ("triplet", 100, 32),
        ("triplet", 32, 32),
        ("triplet", 8, 8),
        ("arcface", 100, 64),
        ("arcface", 63, 63),
        ("arcface", 2, 2),
    ],
)
def test_the_losss_own_batch_has_no_more_classes_than_there_are(loss, n_classes, expected) -> None:
    """A default has to work on a data set of eight classes, too."""
    actual = settled(TrainingRecipe(loss=loss), n_classes, pretrained=False)

    assert actual.classes_per_batch == expected


@pytest.mark.parametrize("loss", ["triplet", "arcface"])
def test_a_few_classes_are_trained_on_by_default(loss, make_data, make_network) -> None:
    """The shape of a batch is that of the classes left after some are held out."""
    recipe = TrainingRecipe(**SMALL, loss=loss, held_out=0.3)

    log = train(
        make_network(), make_data(*[6] * 8), recipe, score=lambda vectors, classes: {"s": 0.0}
    )

    assert (log.n_classes, log.n_held_out) == (6, 2)
    assert len(log.losses) == 12


def test_a_single_class_is_too_few_for_the_losss_own_batch(make_data) -> None:
    """It has no negatives, and the message names the smallest batch there is."""
    with pytest.raises(SettingError, match=r"needs 2 classes, but .* has 1 .*\. Train on more"):
        choose_material(make_data(6, 1), TrainingRecipe())


@pytest.mark.parametrize(
    ("options", "refused"), [({"classes_per_batch": 9}, True), ({}, False)], ids=str
)
def test_material_is_checked_without_reading_images(options, refused, make_data) -> None:
    """A plan of a hundred models is refused at once, not after an hour of decoding."""
    data = make_data(*[6] * 8)
    object.__setattr__(data, "images", UnreadableImages())

    if refused:
        with pytest.raises(SettingError, match="needs 9 classes, but the training split has 8"):
            choose_material(data, TrainingRecipe(**options))
    else:
        assert choose_material(data, TrainingRecipe(**options)).training.n_classes == 8


def test_networks_say_whether_their_weights_have_learnt_before(tmp_path) -> None:
    """A file's weights are something to ruin, the seed's are not."""
    from safetensors.torch import save_file

    model = TimmModel(backbone="test_efficientnet", image_size=32)
    by_seed = model.network(DataContext(folders=(tmp_path,), cache=tmp_path))
    path = tmp_path / "a.safetensors"
    save_file(by_seed.state_dict(), path)

    actual = [
        network.pretrained
        for network in (
            by_seed,
            make_network(model, from_hub=False),
            network_to_train(model, path),
            loaded_network(model, path),
        )
    ]

    assert actual == [False, False, True, True]


def test_the_hubs_weights_have_learnt_before(monkeypatch) -> None:
    """The hub is out of reach of a test; that it was asked for is what counts."""
    from cbir_bench.models.networks import build

    create = build.timm.create_model
    monkeypatch.setattr(
        build.timm,
        "create_model",
        lambda name, *, pretrained, **options: create(name, pretrained=False, **options),
    )
    model = TimmModel(backbone="test_efficientnet", image_size=32, weights="hub")

    actual = make_network(model, from_hub=True)

    assert actual.pretrained is True


def test_the_rate_of_pretrained_weights_is_taken_for_a_file(tmp_path, make_data) -> None:
    """From the file to the log: what a suite's fine-tuning runs through."""
    from safetensors.torch import save_file

    model = TimmModel(backbone="test_efficientnet", image_size=32, device="cpu")
    path = tmp_path / "a.safetensors"
    save_file(make_network(model, from_hub=False).state_dict(), path)
    recipe = TrainingRecipe(steps=2, warmup=0, images_per_class=2, n_threads=1)

    logs = [
        train(network, make_data(3, 3, 3), recipe)
        for network in (make_network(model, from_hub=False), network_to_train(model, path))
    ]

    np.testing.assert_allclose([log.learning_rates[0] for log in logs], [1e-2, 3e-4], rtol=1e-12)
