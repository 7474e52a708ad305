"""A CLIP model that is small enough to be made in every test, described as open_clip's own are."""

from __future__ import annotations

import json

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
CUSTOM = {**CONFIG, "custom_text": True}
RESNET = {
    **CONFIG,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
}
TIMM = {
    **CUSTOM,
    "vision_cfg": {"timm_model_name": "test_vit", "timm_model_pretrained": True, "image_size": 160},
}
CAPTIONS = {
    **CUSTOM,
    "multimodal_cfg": {
        "context_length": 12,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
    "vision_cfg": {
        **CONFIG["vision_cfg"],
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "output_tokens": True,
    },
    "text_cfg": {**CONFIG["text_cfg"], "embed_cls": True, "output_tokens": True},
}


def described(folder, config=None, name="tiny_clip.json"):
    """Write a file that describes a model into a folder, and return its name."""
    (folder / name).write_text(json.dumps(CONFIG if config is None else config), encoding="utf-8")
    return name
