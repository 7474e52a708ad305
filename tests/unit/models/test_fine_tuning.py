"""Training further from weights that somebody else trained."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError
from cbir_bench.core.model import Learned
from cbir_bench.models.networks import build
from cbir_bench.models.networks.folded_norms import folded_norms
from cbir_bench.models.timm_backbone import TimmModel

SMALL = {"backbone": "test_efficientnet", "image_size": 32}
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture
def context(tmp_path: Path) -> DataContext:
    """The test's own folder, where weight files are looked up."""
    return DataContext(folders=(tmp_path,), cache=tmp_path)


def model(**options):
    return TimmModel(**{**SMALL, **options})


def embed(embedder):
    (vectors,) = embedder.embed([embedder.prepare([IMAGE])])
    return vectors


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in right)


@pytest.mark.parametrize("head", ["linear", "cgd"])
def test_training_starts_from_the_files_backbone_and_a_head_of_the_seed(
    context, tmp_path, head
) -> None:
    """The head is trained, so it may start by chance; the backbone must not."""
    pretrained = model(seed=5).network(context).backbone.state_dict()
    save_file(pretrained, tmp_path / "a.safetensors")
    options = {"embedding_dim": 12, "head": head}

    actual = model(weights="a.safetensors", seed=1, **options).network(context)

    by_seed = model(seed=1, **options).network(context)
    assert same(actual.backbone.state_dict(), pretrained)
    assert same(actual.head.state_dict(), by_seed.head.state_dict())


def test_a_checkpoint_with_the_same_head_is_trained_further_as_a_whole(context, tmp_path) -> None:
    """A second stage with another loss goes on where the first one ended."""
    options = {"embedding_dim": 12, "pooling": "gem"}
    first = model(seed=5, **options).network(context).state_dict()
    save_file(first, tmp_path / "a.safetensors")

    actual = model(weights="a.safetensors", **options).network(context)

    assert same(actual.state_dict(), first)


def test_a_checkpoint_with_another_head_gives_its_backbone(context, tmp_path) -> None:
    """Other dimensions are a reason to train a head, not to refuse the backbone."""
    first = model(seed=5, embedding_dim=12).network(context)
    save_file(first.state_dict(), tmp_path / "a.safetensors")

    actual = model(weights="a.safetensors", embedding_dim=9, head="cgd").network(context)

    assert same(actual.backbone.state_dict(), first.backbone.state_dict())


def test_another_models_file_is_refused_before_training(context, tmp_path) -> None:
    """Training from chance under a pretrained name would look like a bad model."""
    other = model(backbone="test_resnet").network(context)
    save_file(other.backbone.state_dict(), tmp_path / "a.safetensors")

    with pytest.raises(DataError, match=r"another model.*missing: .*unknown to"):
        model(weights="a.safetensors", embedding_dim=12).network(context)


@pytest.mark.parametrize("weights", ["random", "train", "hub", "a.safetensors"])
def test_what_was_trained_is_used_whatever_training_started_from(
    context, tmp_path, weights, monkeypatch
) -> None:
    """The file or the hub would otherwise undo the training, and need not even be there any more."""
    trained = model(seed=7, embedding_dim=12).network(context)
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    create = build.timm.create_model

    def without_network(name, *, pretrained, **options):
        assert not pretrained
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(build.timm, "create_model", without_network)
    learned = Learned(trained=tmp_path / "trained.safetensors")

    actual = embed(
        model(weights=weights, embedding_dim=12, framing="whole").embedder(context, learned)
    )

    expected = embed(model(seed=7, embedding_dim=12, framing="whole").embedder(context, Learned()))
    np.testing.assert_array_equal(actual, expected)


def test_hub_weights_are_asked_for_before_training(context, monkeypatch) -> None:
    """Fine-tuning that starts from chance would be training from scratch."""
    asked = []
    create = build.timm.create_model

    def noted(name, *, pretrained, **options):
        asked.append(pretrained)
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(build.timm, "create_model", noted)

    model(weights="hub", embedding_dim=12).network(context)

    assert asked == [True]


def folded(network):
    """Fold the statistics of every batch norm into its input's scale, as exporters do."""
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.bias.data = torch.linspace(-1, 1, norm.num_features)
    return network


def test_norms_are_folded_if_all_are_and_something_is_left_of_them(context) -> None:
    """An untrained network's norms look alike but for their biases, and have to be trained."""
    untrained = model().network(context).backbone
    exported = folded(model().network(context)).backbone
    mixed = folded(model().network(context)).backbone
    next(m for m in mixed.modules() if isinstance(m, nn.BatchNorm2d)).running_var[0] = 3.0

    counts = [len(folded_norms(backbone)) for backbone in (untrained, exported, mixed)]

    n_norms = sum(isinstance(m, nn.BatchNorm2d) for m in exported.modules())
    assert counts == [0, n_norms, 0]


def test_folded_norms_keep_still_while_the_rest_is_trained(context, tmp_path) -> None:
    """Statistics of a batch would put every feature on a scale that the weights never saw."""
    exported = folded(model(seed=5).network(context)).backbone.state_dict()
    save_file(exported, tmp_path / "a.safetensors")
    network = model(weights="a.safetensors", embedding_dim=12).network(context)
    pixels = torch.from_numpy(network.prepare([IMAGE, IMAGE[::-1]]))
    expected = network.eval()(pixels)

    network.train()
    actual = network(pixels)
    actual[:, 0].sum().backward()

    assert network.head.training
    torch.testing.assert_close(actual, expected)
    assert same(network.backbone.state_dict(), exported)
    norms = folded_norms(network.backbone)
    assert all(norm.bias.grad is not None and norm.weight.grad is not None for norm in norms)


def test_norms_with_statistics_are_trained_as_usual(context, tmp_path) -> None:
    """Keeping them still is for folded ones, unless a recipe asks for it."""
    network = model(seed=5).network(context).train()
    for _ in range(2):
        network(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    save_file(network.backbone.state_dict(), tmp_path / "a.safetensors")

    actual = model(weights="a.safetensors").network(context).train()

    norms = [m for m in actual.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)


def grocery_batch(real_data, prepare, n_classes=6, n_images=3):
    """Return photos of some classes of the training split, and their classes."""
    with zipfile.ZipFile(real_data / "grocery160.zip") as archive:
        names = sorted(n for n in archive.namelist() if "/train/" in n and n.endswith(".jpg"))
        folders = sorted({name.rpartition("/")[0] for name in names})[::10][:n_classes]
        chosen = [
            name
            for folder in folders
            for name in [n for n in names if n.startswith(f"{folder}/")][:n_images]
        ]
        photos = [
            np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in chosen
        ]
    return torch.from_numpy(prepare(photos)), torch.arange(n_classes).repeat_interleave(n_images)


def test_mobilenet_is_fine_tuned_from_where_it_stands(real_data) -> None:
    """Its norms are folded: the first step sees what the weights know, and the loss falls from there."""
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    context = DataContext(folders=(real_data,), cache=real_data)
    network = TimmModel(
        backbone="mobilenetv2_100",
        weights="weights/mobilenetv2_100.safetensors",
        image_size=64,
        embedding_dim=32,
        device="cpu",
    ).network(context)
    pretrained = load_file(real_data / "weights/mobilenetv2_100.safetensors")
    assert same(network.backbone.state_dict(), pretrained)
    pixels, classes = grocery_batch(real_data, network.prepare)
    with torch.no_grad():
        evaluated = network.eval().described(pixels)
        network.train()
        torch.testing.assert_close(network.described(pixels), evaluated)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4)
    loss_of = MultiSimilarityLoss()

    losses = []
    for _ in range(6):
        loss = loss_of(network.branches(pixels).ranked[0], classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
