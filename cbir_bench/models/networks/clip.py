"""CLIP models as open_clip builds them, with weights that are read without executing code."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import Tensor, nn

from cbir_bench.core.errors import DataError, SettingError, did_you_mean, first_line
from cbir_bench.models.networks.device import found_device
from cbir_bench.models.networks.weights import put_layers, read_weights
from cbir_bench.models.preparation import Preparation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cbir_bench.core.dataset import DataContext
    from cbir_bench.models.open_clip import OpenClipModel

_KEYS: Final = ("embed_dim", "vision_cfg", "text_cfg")
_MODES: Final[Mapping[str, Literal["center", "squash", "border"]]] = {
    "shortest": "center",
    "squash": "squash",
    "longest": "border",
}
"""open_clip's ways to make a square of an image, and what they are called here."""
_INTERPOLATIONS: Final = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}
"""While training, "random" draws one of several; open_clip, too, evaluates it with bicubic."""
_OF_TRAINING: Final = frozenset({
    "logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size",
    "text.transformer.embeddings.position_ids",
})  # fmt: skip
"""What weight files may hold, or leave out, that no vector depends on."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What open_clip needs to know to build a model.

    Attributes:
        name: of open_clip's own, or the path of a file.
        config: ``embed_dim``, ``vision_cfg``, ``text_cfg``, ...
        preprocessing: what of open_clip's usual preprocessing is otherwise.
        built_in: whether it is one of open_clip's own.
    """

    name: str
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    built_in: bool


class Clip(NamedTuple):
    """A model of two towers, in evaluation mode on the CPU.

    Attributes:
        network: open_clip's module, with ``encode_image`` and ``encode_text``.
        architecture: what it was built from.
        preparation: open_clip's own resizing and cropping of images.
        mean, std: of each colour channel, in [0, 1], as the model was trained with.
    """

    network: Any
    architecture: Architecture
    preparation: Preparation
    mean: tuple[float, ...]
    std: tuple[float, ...]


def make_clip(model: OpenClipModel, context: DataContext) -> Clip:
    """Return a model with its weights in place.

    Everybody else's random numbers go on as if nothing had been drawn.

    Raises:
        SettingError: if open_clip knows neither the model nor the tag, or cannot build it.
        DataError: if weights cannot be had, are damaged, or another model's.
    """
    architecture = _architecture(model, context)
    preprocessing, path = dict(architecture.preprocessing), None
    if model.tag:
        pretrained = _pretrained(architecture, model.tag)
        preprocessing, path = pretrained, _downloaded(model, pretrained)
    elif model.weights != "random":
        path = context.find(model.weights)
    tensors = None if path is None else read_weights(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed)
        network = _built(architecture)
    if tensors is not None and path is not None:
        _put_weights(network, tensors, path)
    return Clip(network.eval(), architecture, *_preprocessing(network, architecture, preprocessing))


def _architecture(model: OpenClipModel, context: DataContext) -> Architecture:
    if model.is_described:
        path = context.find(model.model)
        config, preprocessing = _described(path)
        return Architecture(
            name=str(path), config=config, preprocessing=preprocessing, built_in=False
        )
    config = open_clip.get_model_config(model.model)
    if config is None:
        known = open_clip.list_models()
        raise SettingError(
            f"open_clip has no model {model.model!r}.{did_you_mean(model.model, known)} "
            "Run python -c 'import open_clip; print(open_clip.list_models())' to see all, or give a .json "
            "file that describes one."
        )
    return Architecture(name=model.model, config=config, preprocessing={}, built_in=True)


def _described(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the architecture and the preprocessing that a file describes.

    Either the tables that open_clip ships, or ``open_clip_config.json`` of its hub, which has both.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} is no JSON: {error}. Give a file that describes an open_clip model."
        ) from error
    config = table.get("model_cfg", table) if isinstance(table, dict) else None
    if not isinstance(config, dict) or any(key not in config for key in _KEYS):
        raise DataError(
            f"{path} does not describe an open_clip model: it needs {', '.join(_KEYS)}. Write it as "
            "open_clip's own model_configs are."
        )
    preprocessing = table.get("preprocess_cfg")
    if not isinstance(preprocessing, dict | None):
        raise DataError(
            f"{path} has a preprocess_cfg that is no table but {type(preprocessing).__name__}. Write it as "
            "open_clip_config.json of a repository on the hub does, or leave it out."
        )
    return config, preprocessing or {}


def _pretrained(architecture: Architecture, tag: str) -> dict[str, Any]:
    """Return open_clip's table for a tag: where the weights are, and how they see images."""
    found: dict[str, Any] = open_clip.get_pretrained_cfg(architecture.name, tag)
    if not found:
        tags = open_clip.list_pretrained_tags_by_model(architecture.name)
        raise SettingError(
            f"open_clip has no weights tagged {tag!r} for {architecture.name!r}.{did_you_mean(tag, tags)} "
            f"Tags: {', '.join(tags) or 'none'}."
        )
    quick = bool(found.get("quick_gelu"))
    if quick != bool(architecture.config.get("quick_gelu")):
        plain = architecture.name.removesuffix("-quickgelu")
        raise SettingError(
            f"The weights {tag!r} were trained {'with' if quick else 'without'} QuickGELU, but the model "
            f"{architecture.name!r} is built {'without' if quick else 'with'} it, which would spoil every "
            f'vector. Set model = "{plain}{"-quickgelu" if quick else ""}".'
        )
    return found


def _downloaded(model: OpenClipModel, pretrained: dict[str, Any]) -> Path:
    try:
        return Path(open_clip.download_pretrained(pretrained))
    except Exception as error:  # a download fails in any way
        raise DataError(
            f"The weights {model.tag!r} of {model.model!r} cannot be had from open_clip's hub: "
            f"{type(error).__name__}: {first_line(error)}. "
            "Check the network, or set weights to a local file."
        ) from error


def _built(architecture: Architecture) -> Any:
    """Return open_clip's module of an architecture, with random weights and no download of any."""
    config = deepcopy(dict(architecture.config))
    custom = config.pop("custom_text", False)
    try:
        if "timm_model_name" in config["vision_cfg"]:
            config["vision_cfg"]["timm_model_pretrained"] = False
        if config["text_cfg"].get("hf_model_name"):
            custom, config["text_cfg"]["hf_model_pretrained"] = True, False
        if not custom:
            return open_clip.CLIP(**config)
        several = "multimodal_cfg" in config
        return open_clip.CoCa(**config) if several else open_clip.CustomTextCLIP(**config)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each architecture refuses settings in its own way
        raise SettingError(
            f"open_clip cannot build {architecture.name!r}: {first_line(error)}. "
            "Choose another model, or correct the file that describes it."
        ) from error


def _put_weights(network: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put the tensors of a file into a model.

    Raises:
        DataError: if a layer is missing, unknown or of another shape; the message names the layers.
    """
    given = convert_state_dict(network, dict(tensors))
    if "positional_embedding" in given and not hasattr(network, "positional_embedding"):
        given = convert_to_custom_text_state_dict(given)
    advice = "Set model to what the file was trained as."
    put_layers(network, given, path, advice, left_out=_OF_TRAINING)


def _preprocessing(
    network: Any, architecture: Architecture, changes: Mapping[str, Any]
) -> tuple[Preparation, tuple[float, ...], tuple[float, ...]]:
    """Return what is done to images, the mean and the standard deviation of their channels.

    Raises:
        SettingError: if it is nothing that open_clip knows, or images are not square.
    """
    wanted = merge_preprocess_dict(PreprocessCfg(), dict(changes))
    height, width = np.broadcast_to(network.visual.image_size, 2).tolist()
    if height != width:
        raise SettingError(
            f"{architecture.name!r} takes images of {height} x {width} pixels, which are no squares. "
            "Choose another model."
        )
    try:
        preparation = Preparation(
            size=height,
            mode=_MODES[wanted["resize_mode"]],
            interpolation=_INTERPOLATIONS[wanted["interpolation"]],
            fill=(int(wanted["fill_color"]),) * 3,
        )
        mean, std = (_of_channels(wanted[name]) for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            f"The preprocess_cfg of {architecture.name!r} cannot be used: {type(error).__name__}: {error}. "
            f"Give resize_mode ({', '.join(_MODES)}), interpolation ({', '.join(_INTERPOLATIONS)}), "
            "fill_color, and three numbers each for mean and std."
        ) from error
    return preparation, mean, std


def _of_channels(values: Any) -> tuple[float, ...]:
    red, green, blue = map(float, values)
    return red, green, blue


class ImageTower(nn.Module):
    """The part of a model that sees images: pixels in, vectors of length 1 out.

    Args:
        clip: the model.
        device: "auto", "cpu" or "cuda"; whoever runs it moves it there.
    """

    def __init__(self, clip: Clip, device: str) -> None:
        super().__init__()
        self.visual = clip.network.visual
        self.dim = int(clip.architecture.config["embed_dim"])
        self.device = found_device(device)
        self._encode = clip.network.encode_image
        for name, channels in (("mean", clip.mean), ("std", clip.std)):
            levels = 255 * torch.tensor(channels).view(1, 3, 1, 1)
            self.register_buffer(name, levels, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, dim)`` float32 vectors of length 1.

        Args:
            pixels: ``(n, 3, size, size)`` of any dtype, from 0 to 255, RGB.
        """
        vectors = self._encode((pixels - self.mean) / self.std, normalize=True)
        return nn.functional.normalize(vectors.float(), dim=1)
