"""From the options of a timm model to a network, with timm's own names, weights and preprocessing."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import timm
import torch
from timm.data import resolve_model_data_config
from torch import nn

import cbir_bench.models.networks.convstem_vit  # noqa: F401  adds its model to timm's registry
from cbir_bench.core.errors import DataError, SettingError, did_you_mean, first_line
from cbir_bench.models.networks.batch_drop_block import BatchDropBlock
from cbir_bench.models.networks.combined_descriptors import CombinedDescriptors
from cbir_bench.models.networks.device import found_device
from cbir_bench.models.networks.embedding import EmbeddingNetwork
from cbir_bench.models.networks.folded_norms import folded_norms
from cbir_bench.models.networks.heads import LinearHead, PlainHead
from cbir_bench.models.networks.made_as import (
    differences,
    made_as,
    read_made_as,
    refuse_another,
)
from cbir_bench.models.networks.pooling import (
    AveragePooling,
    FixedGeneralizedMeanPooling,
    GeneralizedMeanPooling,
    MaxPooling,
)
from cbir_bench.models.networks.regions import RegionalMaxPooling
from cbir_bench.models.networks.weights import put_backbone, put_weights, read_weights
from cbir_bench.models.preparation import Preparation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cbir_bench.models.networks.embedding import Reads
    from cbir_bench.models.networks.heads import Head
    from cbir_bench.models.networks.made_as import MadeAs
    from cbir_bench.models.timm_backbone import TimmModel

_DYNAMIC: Final = "dynamic_img_size"
_READS: Final[dict[str, Reads]] = {"model": "model", "cls": "class token"}


def pretrained_name(backbone: str) -> str:
    """Return the ``architecture.tag`` of the weights that timm's hub has for a backbone.

    Raises:
        SettingError: if timm does not know it, or has no weights for it.
    """
    _check_known(backbone)
    found = timm.models.get_pretrained_cfg(backbone, allow_unregistered=False)
    if found is None or not found.has_weights:
        raise SettingError(
            f"timm has no pretrained weights for {backbone!r}. "
            'Set weights to "train" or to a local file, or choose another backbone or tag.'
        )
    return f"{found.architecture}.{found.tag}" if found.tag else str(found.architecture)


def make_network(
    model: TimmModel, *, from_hub: bool, file: MadeAs | None = None
) -> EmbeddingNetwork:
    """Return the network with the weights of ``model.seed``.

    Everybody else's random numbers go on as if nothing had been drawn.

    Args:
        model: the options.
        from_hub: whether the backbone gets timm's pretrained weights.
        file: what the file of weights that it is going to get says of its network.
    """
    framing = _framing(model, file or {})
    _check_known(model.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed)
        backbone = _backbone(model, from_hub=from_hub)
        config = resolve_model_data_config(backbone)
        try:
            return EmbeddingNetwork(
                backbone=backbone,
                reads="map" if model.head != "linear" else _READS.get(model.pooling, "map"),
                pool=partial(_pool, model),
                head=partial(_head, model),
                preparation=_preparation(model, config, framing),
                mean=config["mean"],
                std=config["std"],
                device=found_device(model.device),
                made_as=made_as(model, framing),
                pretrained=from_hub or file is not None,
            )
        except (RuntimeError, ValueError, AssertionError, AttributeError) as error:
            raise SettingError(
                f"The timm model {model.backbone!r} cannot take images of "
                f"{_size(model, config)} pixels with pooling = {model.pooling!r}: {first_line(error)}. "
                "Change image_size or pooling."
            ) from error


def loaded_network(model: TimmModel, path: Path) -> EmbeddingNetwork:
    """Return the network with the weights of a file.

    Raises:
        SettingError: if timm cannot make the model.
        DataError: if the weights are damaged or another model's.
    """
    file = read_made_as(path)
    network = make_network(model, from_hub=False, file=file)
    refuse_another(file, network.made_as, path)
    put_weights(network, read_weights(path), path)
    return network


def network_to_train(model: TimmModel, path: Path) -> EmbeddingNetwork:
    """Return the network that is going to be trained from the weights of a file.

    Pooling and head are taken from a checkpoint of this project that has the very same ones.

    Where the file's batch norms are folded into its convolutions, they are kept from normalising by the
    statistics of batches, which would destroy what the weights have learnt.

    Raises:
        SettingError: if timm cannot make the model.
        DataError: if the weights are damaged or of another backbone.
    """
    file = read_made_as(path)
    network = make_network(model, from_hub=False, file=file)
    fits = not differences(file, network.made_as)
    put_backbone(network, read_weights(path), path, with_head=fits)
    network.keep_still(folded_norms(network.backbone))
    return network


def sizes_of(model: TimmModel, network: EmbeddingNetwork) -> tuple[Preparation, ...]:
    """Return how images are prepared at each of the model's scales.

    Sizes are rounded to whole pixels, and to whole patches where the backbone has patches.

    Raises:
        SettingError: if the backbone cannot take images of one of these sizes.
    """
    base = network.prepare
    step = _patch_side(network.backbone) if _needs_several_sizes(model) else 1
    sizes = [max(1, round(base.size * scale / step)) * step for scale in model.scale_factors]
    for size in {*sizes} - {base.size}:
        try:
            network.shape_at(size)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise SettingError(
                f"The timm model {model.backbone!r} cannot take images of {size} pixels, which scales = "
                f"{model.scales!r} ask for: {first_line(error)}. Change scales or image_size."
            ) from error
    return tuple(base if size == base.size else base.at(size) for size in sizes)


def _pool(model: TimmModel, channels: int) -> Any:
    if model.head != "linear":
        return nn.Identity()  # such heads pool themselves
    makers: dict[str, Callable[[], Any]] = {
        "avg": AveragePooling,
        "max": MaxPooling,
        "gem": partial(_generalized_mean, model, channels),
        "rmac": partial(RegionalMaxPooling, model.rmac_levels),
    }
    return makers[model.pooling]()


def _generalized_mean(model: TimmModel, channels: int) -> Any:
    if model.gem_fixed:
        return FixedGeneralizedMeanPooling(model.gem_p)
    return GeneralizedMeanPooling(model.gem_p, channels if model.gem_per_channel else 1)


def _head(model: TimmModel, shape: tuple[int, ...]) -> Head:
    channels, dim = shape[0], model.embedding_dim
    if model.head == "cgd":
        return CombinedDescriptors(model.descriptors, channels, dim, model.gem_p)
    if model.head == "bdb":
        rows, columns = shape[1:]
        sides = (model.drop_height, model.drop_width)
        return BatchDropBlock((channels, rows, columns), dim, *sides)
    return LinearHead(channels, dim) if dim else PlainHead(channels)


def _check_known(backbone: str) -> None:
    architecture = backbone.partition(".")[0]
    if not timm.is_model(architecture):
        raise SettingError(
            f"timm has no model {architecture!r}.{did_you_mean(architecture, timm.list_models())} "
            "Run python -c 'import timm; print(timm.list_models())' to see all."
        )
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    _, dot, tag = backbone.partition(".")
    if dot and tag not in tags:
        raise SettingError(
            f"The timm model {architecture!r} has no weights tagged {tag!r}.{did_you_mean(tag, tags)} "
            f"Tags: {', '.join(sorted(tags)) or 'none'}."
        )


def _backbone(model: TimmModel, *, from_hub: bool) -> Any:
    options: dict[str, Any] = {"num_classes": 0}
    if model.output_stride:
        options["output_stride"] = model.output_stride
    if model.image_size and _has_fixed_size(model):
        options["img_size"] = model.image_size
    if _needs_several_sizes(model):
        # Not every family has the option, and some of those that do not take any size without it.
        with suppress(_NoSuchOptionError):
            return _created(model, options | {_DYNAMIC: True}, from_hub=from_hub)
    return _created(model, options, from_hub=from_hub)


def _created(model: TimmModel, options: dict[str, Any], *, from_hub: bool) -> Any:
    try:
        return timm.create_model(model.backbone, pretrained=from_hub, **options)
    except Exception as error:
        # A download fails in any way, and each architecture refuses options in its own.
        if _DYNAMIC in options and _DYNAMIC in str(error):
            raise _NoSuchOptionError from error
        if from_hub:
            raise DataError(
                f"The weights of {model.backbone!r} cannot be had from timm's hub: "
                f"{type(error).__name__}: {first_line(error)}. "
                "Check the network, or set weights to a local file."
            ) from error
        raise SettingError(
            f"timm cannot make {model.backbone!r} with {_written(options)}: {first_line(error)}. "
            "Leave the option out or choose another backbone."
        ) from error


class _NoSuchOptionError(Exception):
    """An architecture does not know ``dynamic_img_size``."""


def _has_fixed_size(model: TimmModel) -> bool:
    found = timm.models.get_pretrained_cfg(model.backbone)
    return found is not None and bool(found.fixed_input_size)


def _needs_several_sizes(model: TimmModel) -> bool:
    """Return whether a backbone that is made for one size has to take several."""
    return model.scale_factors != (1.0,) and _has_fixed_size(model)


def _patch_side(backbone: Any) -> int:
    sides = getattr(getattr(backbone, "patch_embed", None), "patch_size", (1,))
    return int(sides[0])


def _size(model: TimmModel, config: dict[str, Any]) -> int:
    return int(model.image_size or min(config["input_size"][1:]))


def _framing(model: TimmModel, file: MadeAs) -> str:
    """Return "crop" or "whole"; "auto" is what a file of weights was trained with, if it says so."""
    if model.framing != "auto":
        return model.framing
    if file.get("framing") in {"crop", "whole"}:
        return str(file["framing"])
    return "whole" if model.weights in {"train", "random"} else "crop"


def _preparation(model: TimmModel, config: dict[str, Any], framing: str) -> Preparation:
    """Return timm's own resizing and cropping, or the whole image where that is wanted."""
    whole = framing == "whole"
    mode: Any = "squash" if whole else config["crop_mode"]
    mean = tuple(round(255 * channel) for channel in config["mean"])
    return Preparation(
        size=_size(model, config),
        crop_share=1.0 if whole else config["crop_pct"],
        mode=mode,
        interpolation=config["interpolation"],
        fill=mean if mode == "border" else (0, 0, 0),
    )


def _written(options: dict[str, Any]) -> str:
    named = [f"{n} = {v}" for n, v in options.items() if n != "num_classes"]
    return ", ".join(named).replace("img_size", "image_size") or "its default options"
