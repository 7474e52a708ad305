"""What a checkpoint of this project says of the network that it is of, in its safetensors header.

The shapes of layers tell a file's backbone and the size of its head, but neither what was pooled nor in
which order branches were joined: a file of another pooling fits and gives other vectors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import timm
from safetensors import SafetensorError, safe_open

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.models.timm_backbone import TimmModel

MadeAs: TypeAlias = dict[str, Any]
"""Options of a model by name, as JSON values, with what "auto" stood for."""

_ENTRY: Final = "made_as"
_DECISIVE: Final = (
    "backbone", "pooling", "gem_p", "gem_per_channel", "gem_fixed", "rmac_levels",
    "head", "descriptors", "embedding_dim",
)  # fmt: skip
"""Options with which the weights were trained, and without which they make no sense."""
_OF_IMAGES: Final = ("image_size", "output_stride")
"""Options that may well be others than in training."""


def made_as(model: TimmModel, framing: str) -> MadeAs:
    """Return the options that decide a model's network.

    Args:
        model: the options.
        framing: "crop" or "whole".
    """
    options = {name: getattr(model, name) for name in (*_DECISIVE, *_OF_IMAGES)}
    if model.pooling == "gem" and not model.gem_fixed:
        del options["gem_p"]  # only where training starts; what it led to is among the weights
    found = timm.models.get_pretrained_cfg(model.backbone)
    if found is not None and found.tag:
        options["backbone"] = f"{found.architecture}.{found.tag}"
    return {**options, "framing": framing}


def header_of(options: MadeAs) -> dict[str, str]:
    """Return the metadata of a safetensors file that says so."""
    return {_ENTRY: json.dumps(options, sort_keys=True)}


def read_made_as(path: Path) -> MadeAs:
    """Return what a file says of its network; nothing if it is none of this project's checkpoints.

    Raises:
        DataError: if what it says is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_ENTRY, "{}")
    except (SafetensorError, OSError):
        return {}  # whoever reads its tensors says what is wrong with it
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise DataError(
            f"The header of the weight file {path} is damaged: its {_ENTRY!r} is no JSON table. Copy the "
            "checkpoint again, or train it again."
        )
    return options


def differences(file: MadeAs, model: MadeAs) -> list[str]:
    """Return each decisive option that a file has otherwise than a model, and both values."""
    return [
        f"{name} = {json.dumps(file[name])}, not {json.dumps(model[name])}"
        for name in _DECISIVE
        if name in file and name in model and file[name] != model[name]
    ]


def refuse_another(file: MadeAs, model: MadeAs, path: Path) -> None:
    """Refuse a file that was trained as another network, whose weights would fit by their shapes.

    Raises:
        DataError: naming each option that is another.
    """
    if differing := differences(file, model):
        raise DataError(
            f"The weight file {path} was trained with {'; '.join(differing)}. Set these options as they "
            "were, or add a [model.training] table to train further from its backbone."
        )
