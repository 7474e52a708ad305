"""Features of timm's families in one layout."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import timm
import torch

from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.features import as_map, class_token


def backbone(**attributes):
    return SimpleNamespace(num_features=6, **attributes)


def test_maps_of_either_layout_and_tokens_give_the_same_map() -> None:
    """A pooling over the wrong axis still gives numbers."""
    first = torch.rand((2, 6, 4, 5), generator=torch.Generator().manual_seed(1))
    last = first.permute(0, 2, 3, 1)
    tokens = torch.cat([torch.full((2, 2, 6), 9.0), last.flatten(1, 2)], dim=1)

    found = (
        as_map(first, backbone(), 64, 80),
        as_map(last, backbone(), 64, 80),
        as_map(tokens, backbone(num_prefix_tokens=2), 64, 80),
    )

    for actual in found:
        torch.testing.assert_close(actual, first)


def test_a_square_map_is_read_as_the_backbone_says() -> None:
    """Where channels equal the width, the shape alone cannot tell."""
    first = torch.rand((1, 6, 6, 6), generator=torch.Generator().manual_seed(2))

    actual = as_map(first.permute(0, 2, 3, 1), backbone(output_fmt="NHWC"), 64, 64)

    torch.testing.assert_close(actual, first)


@pytest.mark.parametrize("features", [torch.zeros(2, 6), torch.zeros(2, 7, 6), [torch.zeros(1)]])
def test_features_without_a_grid_are_refused(features) -> None:
    """A model that already pooled has nothing left to pool over."""
    with pytest.raises(SettingError, match=r'neither a map nor the tokens.*pooling = "model"'):
        as_map(features, backbone(), 64, 64)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("resnet18", 7),  # channels first
        ("swin_tiny_patch4_window7_224", 7),  # channels last
        ("vit_tiny_patch16_224", 14),  # a class token
        ("vit_wee_patch16_reg1_gap_256", 16),  # a register token, no class token
        ("coat_lite_tiny", 7),  # a class token that the model does not count
        ("volo_d1_224", 14),
        ("xcit_nano_12_p16_224", 14),
        ("twins_svt_small", 7),  # tokens without class token
    ],
)
def test_every_layout_of_timm_becomes_a_map(name, rows) -> None:
    """Shapes only, so that no model is really computed."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0).eval()
        side = model.pretrained_cfg["input_size"][1]
        features = model.forward_features(torch.empty(1, 3, side, side))

    actual = as_map(features, model, side, side)

    assert actual.shape == (1, model.num_features, rows, rows)


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "coat_lite_tiny", "deit3_small_patch16_224"]
)
def test_the_class_token_is_the_first(name) -> None:
    """It is what these models classify by."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0).eval()
    tokens = torch.rand((2, 50, model.num_features), generator=torch.Generator().manual_seed(3))

    actual = class_token(tokens, model)

    torch.testing.assert_close(actual, tokens[:, 0])


@pytest.mark.parametrize("name", ["vit_wee_patch16_reg1_gap_256", "twins_svt_small", "resnet18"])
def test_a_model_without_class_token_says_so(name) -> None:
    """A register or patch token in its place would still give numbers."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0).eval()
    shape = (1, 512, 7, 7) if name == "resnet18" else (1, 50, model.num_features)

    with pytest.raises(SettingError, match="has no class token"):
        class_token(torch.zeros(shape), model)
