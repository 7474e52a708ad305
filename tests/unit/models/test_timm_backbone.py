"""timm backbones: shapes, preprocessing, seeds, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from cbir_bench.core.component import setting_of
from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.model import Learned
from cbir_bench.core.registry import MODELS
from cbir_bench.models.networks import build
from cbir_bench.models.timm_backbone import TimmModel

CONTEXT = DataContext(folders=(), cache=Path("unused"))
SMALL_VIT = "vit_convstem_xs_patch16_64"


def noise(*size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def embed(model, *images):
    embedder = model.embedder(CONTEXT, Learned())
    (vectors,) = embedder.embed([embedder.prepare(images)])
    return vectors


@pytest.mark.parametrize(
    ("backbone", "image_size", "dim"),
    [
        ("test_resnet", 64, 96),  # maps, channels first
        ("test_efficientnet", 64, 256),
        (SMALL_VIT, 0, 128),  # tokens
        ("test_vit", 64, 64),  # tokens with a class token
    ],
)
@pytest.mark.parametrize("pooling", ["gem", "model"])
def test_every_family_gives_unit_vectors(backbone, image_size, dim, pooling) -> None:
    """Convolutional, hierarchical and plain transformers differ in the shape of their features."""
    model = TimmModel(backbone=backbone, image_size=image_size, pooling=pooling)

    actual = embed(model, noise(50, 70))

    assert actual.shape == (1, dim)
    assert np.linalg.norm(actual) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("test_convnext", {"image_size": 64}),
        ("test_convnext2", {"pooling": "rmac", "image_size": 96}),
        ("mobilenetv3_small_050", {"image_size": 64, "pooling": "model"}),
        ("mobilenetv2_035", {"image_size": 96}),
        ("swin_s3_tiny_224", {"image_size": 64, "pooling": "gem"}),  # channels last
        ("test_vit2", {"image_size": 48, "pooling": "rmac"}),
        ("test_vit3", {"image_size": 80}),
        ("test_vit4", {"pooling": "max"}),
        ("test_mambaout", {"image_size": 64, "pooling": "max"}),  # channels last
        ("test_nfnet", {"image_size": 64, "pooling": "gem", "gem_per_channel": True}),
        ("test_byobnet", {"image_size": 64, "output_stride": 16}),
        ("vit_xsmall_patch16_clip_224", {"image_size": 64, "pooling": "cls"}),
    ],
)
def test_other_families_give_unit_vectors(backbone, options) -> None:
    """Anything that timm has, at sizes of its own or others."""
    actual = embed(TimmModel(backbone=backbone, **options), noise(50, 70), noise(64, 64))

    assert np.linalg.norm(actual, axis=1) == pytest.approx(1, abs=1e-5)
    assert abs(actual[0] - actual[1]).max() > 1e-4


@pytest.mark.parametrize(
    "backbone", ["test_resnet", "test_efficientnet", SMALL_VIT, "test_vit2", "test_vit4"]
)
def test_avg_is_what_the_model_itself_does_where_it_averages(backbone) -> None:
    """Norms that follow the average belong to the features."""
    options = {"backbone": backbone, "seed": 2}
    image = noise(80, 60)
    own = TimmModel(**options, pooling="model")
    network = own.network(CONTEXT)
    assert "avg" in str(network.backbone.global_pool)

    actual = embed(TimmModel(**options, pooling="avg"), image)

    np.testing.assert_allclose(actual, embed(own, image), atol=1e-5)


def test_cls_is_what_the_model_itself_does_where_it_takes_the_token() -> None:
    """The class token of a vision transformer is its first."""
    image = noise(80, 60)

    actual = embed(TimmModel(backbone="test_vit", pooling="cls"), image)

    np.testing.assert_allclose(
        actual, embed(TimmModel(backbone="test_vit", pooling="model"), image), atol=1e-5
    )


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit4", SMALL_VIT])
def test_a_backbone_without_class_token_says_so(backbone) -> None:
    """The first patch or a register in its place would still give numbers."""
    with pytest.raises(SettingError, match=r'no class token, so pooling = "cls"'):
        TimmModel(backbone=backbone, pooling="cls").network(CONTEXT)


def test_options_that_came_later_change_no_key() -> None:
    """Vectors and checkpoints made before they came are still found."""
    setting = setting_of("timm", TimmModel(backbone="test_vit", pooling="gem"))

    assert sorted(setting.values) == [
        "backbone",
        "device",
        "embedding_dim",
        "framing",
        "gem_p",
        "image_size",
        "output_stride",
        "pooling",
        "seed",
        "weights",
    ]


def test_training_never_sees_what_is_learnt_after_it() -> None:
    """One checkpoint serves all values of these options, so networks to train must not differ by them."""
    options = {"pooling": "rmac", "image_size": 64, "seed": 3}
    changed = {"region_pca": 8, "scales": "1, 0.5", "flip": True, "precision": "bfloat16"}
    pixels = torch.from_numpy(np.stack([noise(64, 64)] * 2).transpose(0, 3, 1, 2).copy())
    assert changed.keys() == TimmModel.AFTER_TRAINING

    plain, actual = (TimmModel(**options, **more).network(CONTEXT).eval() for more in ({}, changed))

    assert actual.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(actual(pixels), plain(pixels))


@pytest.mark.parametrize("model", ["timm", "open_clip"])
def test_the_library_that_resizes_is_part_of_every_key(model) -> None:
    """Another version of Pillow may give other pixels, and those other vectors."""
    assert {"torch", "timm", "PIL"} <= {*MODELS.get(model).REQUIRES}


def test_the_small_transformer_has_about_0_7_million_parameters() -> None:
    """It is meant to be trained in a minute on two cores."""
    network = TimmModel(backbone=SMALL_VIT).network(CONTEXT)

    n_parameters = sum(p.numel() for p in network.parameters())

    assert 0.6e6 < n_parameters < 0.8e6


def test_the_head_sets_the_dimension() -> None:
    """Index builds of one suite are compared at one dimension."""
    model = TimmModel(image_size=32, embedding_dim=24)

    assert embed(model, noise(32, 32)).shape == (1, 24)


def test_vectors_equal_those_of_timms_own_preprocessing_and_pooling() -> None:
    """The reference is timm alone: its transform with crop and normalisation, its average pooling."""
    image = noise(300, 200)
    torch.manual_seed(3)
    reference = timm.create_model("test_efficientnet", num_classes=0).eval()
    transform = create_transform(**resolve_model_data_config(reference))
    with torch.inference_mode():
        expected = reference(transform(Image.fromarray(image))[None])
    expected = torch.nn.functional.normalize(expected)

    actual = embed(TimmModel(backbone="test_efficientnet", framing="crop", seed=3), image)

    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)


def test_training_shows_the_whole_image_and_pretrained_weights_the_centre() -> None:
    """Cropping 64 pixels would cut products off; squeezing would distort what ImageNet taught."""
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, :20] = 255

    whole, crop = (
        TimmModel(image_size=32, framing=framing).network(CONTEXT).prepare([wide])
        for framing in ("auto", "crop")
    )

    assert whole.max() == 255
    assert crop.max() == 0


def test_prepared_images_are_pillows_bicubic() -> None:
    """Every reference number was made with Pillow's antialiased resizing."""
    image = noise(90, 120)
    model = TimmModel(backbone="test_efficientnet", image_size=48, framing="whole")
    network = model.network(CONTEXT)
    expected = Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC)

    (actual,) = network.prepare([image])

    np.testing.assert_array_equal(actual, np.asarray(expected).transpose(2, 0, 1))


def test_the_seed_decides_the_random_weights_and_leaves_other_draws_alone() -> None:
    """Embeddings of an untrained model are an artefact like any other."""
    image = noise(32, 32)
    torch.manual_seed(9)
    expected_draw = torch.rand(1)
    torch.manual_seed(9)

    first, same, other = (embed(TimmModel(image_size=32, seed=seed), image) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, same)
    assert abs(first - other).max() > 1e-3
    assert torch.rand(1) == expected_draw


def test_the_output_stride_keeps_more_positions() -> None:
    """At 64 pixels a stride of 32 leaves four positions to pool over."""
    images = torch.zeros(1, 3, 64, 64)

    shapes = [
        TimmModel(image_size=64, output_stride=stride)
        .network(CONTEXT)
        .backbone.forward_features(images)
        .shape[2:]
        for stride in (0, 16)
    ]

    assert shapes == [(2, 2), (4, 4)]


def test_weights_say_where_they_are_from(monkeypatch) -> None:
    """The hub's default tag is resolved: it may change from one version of timm to the next."""
    hashes = {
        weights: TimmModel(backbone="resnet18", weights=weights, seed=4).weights_hash(CONTEXT)
        for weights in ("random", "hub", "train")
    }

    assert hashes == {"random": "random:4", "hub": "hub:resnet18.a1_in1k", "train": "train"}


def test_an_unknown_backbone_gets_a_suggestion() -> None:
    """timm has more than a thousand names."""
    with pytest.raises(SettingError, match=r"no model 'resnet81'\. Did you mean 'resnet18'"):
        TimmModel(backbone="resnet81").network(CONTEXT)


def test_an_unknown_tag_is_refused_with_the_known_ones() -> None:
    """timm alone would fall back to other weights or fail late."""
    with pytest.raises(SettingError, match=r"no weights tagged 'a1_in2k'\. Did you mean 'a1_in1k'"):
        TimmModel(backbone="resnet18.a1_in2k", weights="hub").weights_hash(CONTEXT)


def test_a_backbone_without_hub_weights_is_refused() -> None:
    """It would silently start from random weights."""
    with pytest.raises(SettingError, match=r"no pretrained weights for 'vit_convstem"):
        TimmModel(backbone=SMALL_VIT, weights="hub").weights_hash(CONTEXT)


def test_a_failed_download_is_one_sentence(monkeypatch) -> None:
    """Libraries raise chains of connection errors."""

    def fail(*args, **kwargs):
        raise ConnectionError("no route to host\nmore\nlines")

    monkeypatch.setattr(build.timm, "create_model", fail)

    with pytest.raises(
        DataError, match=r"no route to host\. Check the network, or set weights to a"
    ):
        TimmModel(backbone="resnet18", weights="hub").embedder(CONTEXT, Learned())


def test_an_option_that_the_backbone_does_not_have_is_refused() -> None:
    """Vision transformers cannot be dilated."""
    with pytest.raises(SettingError, match=r"cannot make .* with output_stride = 8"):
        TimmModel(backbone=SMALL_VIT, output_stride=8).network(CONTEXT)


def test_a_size_that_the_backbone_cannot_take_is_refused() -> None:
    """8 pixels are less than one patch of 16."""
    with pytest.raises(SettingError, match="image_size"):
        TimmModel(backbone="test_vit", image_size=8).network(CONTEXT)


def test_a_head_by_chance_is_refused() -> None:
    """Pretrained weights have no embedding head."""
    with pytest.raises(SettingError, match="embedding_dim = 64 would project by chance"):
        TimmModel(weights="hub", embedding_dim=64).embedder(CONTEXT, Learned())


def test_weights_to_train_need_a_checkpoint() -> None:
    """Otherwise an untrained network would be measured under a trained one's name."""
    with pytest.raises(SettingError, match="needs a checkpoint"):
        TimmModel(weights="train").embedder(CONTEXT, Learned())


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_missing_gpu_is_named() -> None:
    """Falling back in silence would make its timings another device's."""
    with pytest.raises(SettingError, match="no CUDA device"):
        TimmModel(device="cuda").network(CONTEXT)
