"""A small vision transformer with a convolutional stem, for training from scratch on small images.

Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021: with a few stride-2
convolutions in place of the patch projection a transformer learns in a fraction of the steps.
Importing this module adds its models to timm's registry.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from timm.layers import HybridEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

__all__ = ["vit_convstem_xs_patch16_64"]

default_cfgs = generate_default_cfgs(
    {
        "vit_convstem_xs_patch16_64": {
            "url": "",
            "num_classes": 0,
            "input_size": (3, 64, 64),
            "fixed_input_size": True,
            "crop_pct": 1.0,
            "interpolation": "bicubic",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "patch_embed.backbone.0.0",
            "classifier": "head",
        }
    }
)


@register_model
def vit_convstem_xs_patch16_64(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:  # noqa: FBT001, FBT002  timm's signature
    """Patch 16, width 128, depth 3, 4 heads; about 0.7 million parameters; for 64 pixels."""
    width = 128
    embed = partial(HybridEmbed, backbone=_conv_stem((24, 48, 96, width)))
    settings = {
        "img_size": 64,
        "patch_size": 1,  # of the stem's map, whose positions are 16 pixels apart
        "embed_dim": width,
        "depth": 3,
        "num_heads": 4,
        "class_token": False,
        "global_pool": "avg",
        "fc_norm": False,
        "embed_layer": embed,
    }
    return build_model_with_cfg(
        VisionTransformer, "vit_convstem_xs_patch16_64", pretrained, **{**settings, **kwargs}
    )


def _conv_stem(channels: tuple[int, ...]) -> nn.Sequential:
    """Return one 3 x 3 convolution of stride 2 for each number of channels."""
    blocks = [
        nn.Sequential(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        for before, after in zip((3, *channels), channels, strict=False)
    ]
    return nn.Sequential(*blocks)
