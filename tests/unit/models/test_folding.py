"""Folding batch norms: nothing may change but the time it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cbir_bench.core.dataset import DataContext
from cbir_bench.models.networks.folding import folded
from cbir_bench.models.timm_backbone import TimmModel

CONTEXT = DataContext(folders=(), cache=Path("unused"))


def lived_in(module):
    """Give every batch norm statistics and weights as training leaves them."""
    draw = torch.Generator().manual_seed(0)
    for norm in norms(module):
        for values, low in (
            (norm.running_mean, -0.5),
            (norm.running_var, 0.5),
            (norm.weight.data, 0.5),
            (norm.bias.data, -0.5),
        ):
            values.copy_(low + torch.rand(values.shape, generator=draw))
    return module.eval()


def norms(module):
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def pixels(size, n=3):
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 3, size, size), generator=draw, dtype=torch.uint8)


class Small(nn.Module):
    """Two convolutions, a norm each, and vectors of length 1."""

    device = "cpu"

    def __init__(self, second: nn.Module) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.second = second
        lived_in(self)

    def forward(self, images):
        features = self.second(self.norm(self.first(images / 255)))
        return nn.functional.normalize(features.mean(dim=(2, 3)), dim=1)


class UsesItsInputTwice(nn.Module):
    """What the convolution gives goes around the norm, too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, features):
        made = self.convolution(features)
        return made + 3 * self.norm(made)


class SharesANorm(nn.Module):
    """Two convolutions with one norm."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.norm = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, features):
        return self.norm(self.left(features)) + self.norm(self.right(features))


class ScalesItsWeights(nn.Conv2d):
    """Standardises its weights at every call, so that a scale in them is lost."""

    def forward(self, features):
        weight = nn.functional.normalize(self.weight.flatten(1)).view_as(self.weight)
        return nn.functional.conv2d(features, weight, self.bias)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "test_resnet"},
        {"backbone": "test_efficientnet", "pooling": "rmac"},  # norms with activations
        {"backbone": "mobilenetv3_small_050"},
        {"backbone": "test_resnet", "head": "bdb", "embedding_dim": 9, "output_stride": 16},
        {"backbone": "tf_efficientnet_lite0"},  # pads as TensorFlow does
    ],
    ids=lambda options: options["backbone"] + options.get("head", ""),
)
def test_every_norm_is_folded_and_the_vectors_stay(options) -> None:
    """Statistics as after training: folding of fresh norms would hide a wrong formula."""
    network = lived_in(TimmModel(image_size=64, device="cpu", **options).network(CONTEXT))

    actual = folded(network, 64)

    assert len(norms(network)) > 0 == len(norms(actual))
    with torch.no_grad():
        torch.testing.assert_close(actual(pixels(64)), network(pixels(64)), atol=1e-5, rtol=0)


def test_the_network_itself_is_left_as_it_was() -> None:
    """It may be trained further, or saved."""
    network = lived_in(TimmModel(image_size=32, device="cpu").network(CONTEXT))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    folded(network, 32)

    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


@pytest.mark.parametrize("part", [UsesItsInputTwice, SharesANorm])
def test_what_cannot_be_folded_is_computed_as_it_is(part) -> None:
    """Such networks exist, and their vectors matter more than their speed."""
    network = Small(part())

    actual = folded(network, 16)

    with torch.no_grad():
        torch.testing.assert_close(actual(pixels(16)), network(pixels(16)), atol=1e-5, rtol=0)


def test_a_shared_norm_keeps_its_place_while_others_are_folded() -> None:
    """One exception should not cost the speed of all the rest."""
    actual = folded(Small(SharesANorm()), 16)

    assert len(norms(actual)) == 1


def test_convolutions_that_compute_their_weights_are_left_alone() -> None:
    """timm has several, for networks without norms or with others."""
    network = Small(nn.Sequential(ScalesItsWeights(4, 5, 1), lived_in(nn.BatchNorm2d(5))))

    actual = folded(network, 16)

    assert len(norms(actual)) == 1
    with torch.no_grad():
        torch.testing.assert_close(actual(pixels(16)), network(pixels(16)), atol=1e-5, rtol=0)


def test_a_network_without_norms_is_not_copied() -> None:
    """A large transformer would take its memory twice."""
    network = TimmModel(backbone="test_vit", image_size=32, device="cpu").network(CONTEXT).eval()

    actual = folded(network, 32)

    assert actual is network
