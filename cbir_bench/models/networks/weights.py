"""Weight files: read without executing code, and matched to the network layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

_TORCH_SUFFIXES: Final = (".pt", ".pth", ".bin")
_WRAPPERS: Final = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Names under which training programs keep the weights within a checkpoint, best first, as in timm."""
_SHOWN: Final = 5


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or torch file by name.

    Raises:
        DataError: if the file is of another kind, damaged, or holds anything but tensors and plain
            containers (a pickle that would run code is refused, not run).
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix in _TORCH_SUFFIXES:
            return _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path)
    except DataError:
        raise
    except Exception as error:  # both libraries raise whatever a damaged file makes them trip over
        reason = (
            str(error).splitlines()[0] if isinstance(error, SafetensorError) else _reason(error)
        )
        raise DataError(
            f"The weight file {path} cannot be read safely: {reason}. It may be truncated, or hold "
            "code instead of tensors. Get it again, or save it as safetensors."
        ) from error
    raise DataError(
        f"The weight file {path} ends in {path.suffix!r}. Give a .safetensors, .pt, .pth or .bin file."
    )


def _reason(error: Exception) -> str:
    """Return the kind of a torch error: its text is paragraphs of advice on how to lift the safety."""
    return type(error).__name__


def _unwrapped(loaded: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
            break
    if not isinstance(loaded, dict) or not loaded:
        raise DataError(f"The weight file {path} holds no table of tensors. Save a state_dict.")
    tensors = {str(n).removeprefix("module."): t for n, t in loaded.items() if torch.is_tensor(t)}
    if not tensors:
        raise DataError(f"The weight file {path} holds no tensors. Save a state_dict.")
    return tensors


def put_weights(network: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put the tensors of a file into a network.

    A file may be of the whole network (this project's checkpoints: ``backbone.``, ``head.``) or of the
    timm backbone alone; a classifier, which embedding needs not, is then left out.

    Raises:
        DataError: if a layer is missing, unknown or of another shape; the message names the layers.
    """
    whole = any(name.startswith("backbone.") for name in tensors)
    if not whole and network.head is not None:
        raise DataError(
            f"The weight file {path} has no embedding head, so embedding_dim = {network.dim} would "
            "project by chance. Set embedding_dim = 0, or give a checkpoint that was trained here."
        )
    target = network if whole else network.backbone
    classifier = _classifier(network.backbone)
    wanted = target.state_dict()
    given = {n: t for n, t in tensors.items() if n in wanted or not n.startswith(classifier)}
    _check_layers(given, wanted, path)
    target.load_state_dict(given, strict=False)


def _classifier(backbone: Any) -> tuple[str, ...]:
    names = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _check_layers(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    # Batch norm counts its batches for a momentum of None only; converted files leave the count out.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in wanted]
    other = [
        f"{name} ({_shape(given[name])} in the file, {_shape(wanted[name])} in the model)"
        for name in given
        if name in wanted and given[name].shape != wanted[name].shape
    ]
    groups = (("missing", missing), ("of another shape", other), ("unknown to the model", unknown))
    problems = [f"{len(names)} {what}: {_some(names)}" for what, names in groups if names]
    if problems:
        raise DataError(
            f"The weight file {path} is of another model than this one; layers {'; '.join(problems)}. "
            "Set backbone, pooling, embedding_dim and image_size to what the file was trained with."
        )


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
