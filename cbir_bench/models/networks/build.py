"""From the options of a timm model to a network, with timm's own names, weights and preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
import torch
from PIL import Image as PilImage
from timm.data import create_transform, resolve_model_data_config

import cbir_bench.models.networks.convstem_vit  # noqa: F401  adds its model to timm's registry
from cbir_bench.core.errors import DataError, SettingError, did_you_mean
from cbir_bench.models.networks.embedding import EmbeddingNetwork
from cbir_bench.models.networks.weights import put_weights, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.models.timm_backbone import TimmModel


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


def make_network(model: TimmModel) -> EmbeddingNetwork:
    """Return the network with the weights of ``model.seed``, or timm's where ``weights = "hub"``.

    Everybody else's random numbers go on as if nothing had been drawn.
    """
    _check_known(model.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed)
        backbone = _backbone(model)
        config = resolve_model_data_config(backbone)
        size = model.image_size or min(config["input_size"][1:])
        try:
            network = EmbeddingNetwork(
                backbone=backbone,
                pooling=model.pooling,
                gem_p=model.gem_p,
                embedding_dim=model.embedding_dim,
                geometry=_geometry(config, size, whole=model.shows_whole_image),
                size=size,
                mean=config["mean"],
                std=config["std"],
                device=_device(model.device),
            )
        except (RuntimeError, ValueError, AssertionError, AttributeError) as error:
            raise SettingError(
                f"The timm model {model.backbone!r} cannot take images of {size} pixels with pooling = "
                f"{model.pooling!r}: {_first_line(error)}. Change image_size or pooling."
            ) from error
    return network


def load_weights(network: EmbeddingNetwork, path: Path) -> None:
    """Put the weights of a file into the network (DataError if they are not its own)."""
    put_weights(network, read_weights(path), path)


def _device(wanted: str) -> str:
    """Return "cuda" or "cpu".

    Raises:
        SettingError: if "cuda" is wanted but not there.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingError('There is no CUDA device. Set device = "auto" or "cpu".')
    return "cuda" if there and wanted != "cpu" else "cpu"


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


def _backbone(model: TimmModel) -> Any:
    options: dict[str, Any] = {"num_classes": 0}
    if model.output_stride:
        options["output_stride"] = model.output_stride
    found = timm.models.get_pretrained_cfg(model.backbone)
    if model.image_size and found is not None and found.fixed_input_size:
        options["img_size"] = model.image_size
    hub = model.weights == "hub"
    try:
        return timm.create_model(model.backbone, pretrained=hub, **options)
    except Exception as error:
        # A download fails in any way, and each architecture refuses options in its own.
        if hub:
            raise DataError(
                f"The weights of {model.backbone!r} cannot be had from timm's hub: "
                f"{type(error).__name__}: {_first_line(error)}. "
                "Check the network, or set weights to a local file."
            ) from error
        raise SettingError(
            f"timm cannot make {model.backbone!r} with {_written(options)}: {_first_line(error)}. "
            "Leave the option out or choose another backbone."
        ) from error


def _geometry(
    config: dict[str, Any], size: int, *, whole: bool
) -> Callable[[Image], NDArray[np.uint8]]:
    """Return timm's own resizing and cropping, up to where it would make a float tensor."""
    transform = create_transform(
        input_size=(3, size, size),
        interpolation=config["interpolation"],
        crop_pct=1.0 if whole else config["crop_pct"],
        crop_mode="squash" if whole else config["crop_mode"],
        use_prefetcher=True,
    )

    def geometry(image: Image) -> NDArray[np.uint8]:
        if whole and image.shape[:2] == (size, size):
            return image.transpose(2, 0, 1)  # resizing would change nothing but the time it takes
        resized: NDArray[np.uint8] = transform(PilImage.fromarray(image))
        return resized

    return geometry


def _written(options: dict[str, Any]) -> str:
    named = [f"{n} = {v}" for n, v in options.items() if n != "num_classes"]
    return ", ".join(named).replace("img_size", "image_size") or "its default options"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
