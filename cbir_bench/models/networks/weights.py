"""Weight files: read without executing code, and matched to the network layer by layer."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

    from cbir_bench.models.networks.embedding import EmbeddingNetwork

_TORCH_SUFFIXES: Final = (".pt", ".pth", ".bin")
_WRAPPERS: Final = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Names under which training programs keep the weights within a checkpoint, best first, as in timm."""
_NOT_WEIGHTS: Final = {
    b"<": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}
_FOREIGN_OBJECT: Final = re.compile(r"GLOBAL ([\w.]+)")
_PLAIN: Final = frozenset({
    torch.float32, torch.float16, torch.bfloat16, torch.float64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
})  # fmt: skip
_BACKBONE: Final = "backbone."
_ADVICE: Final = (
    "Set backbone, pooling, head, embedding_dim and image_size to what the file was trained with."
)
_SHOWN: Final = 5


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or torch file by name.

    Raises:
        DataError: if the file is of another kind, damaged, holds anything but tensors and plain
            containers (a pickle that would run code is refused, not run), or tensors that are sparse,
            quantised or of another kind that no layer can be filled with; the message names them.
    """
    if path.suffix not in {".safetensors", *_TORCH_SUFFIXES}:
        raise DataError(
            f"The weight file {path} ends in {path.suffix!r}. "
            "Give a .safetensors, .pt, .pth or .bin file."
        )
    try:
        _refuse_text(path)
        if path.suffix == ".safetensors":
            return _usual(load_file(path), path)
        return _usual(
            _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path), path
        )
    except DataError:
        raise
    except Exception as error:  # both libraries raise whatever a damaged file makes them trip over
        raise DataError(
            f"The weight file {path} cannot be read safely: {_reason(error)}. It may be truncated, or "
            "hold code instead of tensors. Get it again, or save a state_dict, best as safetensors."
        ) from error


def _refuse_text(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    for beginning, what in _NOT_WEIGHTS.items():
        if start.startswith(beginning):
            raise DataError(f"The weight file {path} is {what}. Download the file of weights.")


def _reason(error: Exception) -> str:
    """Return one line: torch's text is paragraphs of advice on how to lift the safety."""
    if isinstance(error, SafetensorError | OSError):
        return str(error).splitlines()[0]
    foreign = _FOREIGN_OBJECT.search(str(error))
    return f"it holds {foreign[1]}, which is no tensor" if foreign else type(error).__name__


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


def _usual(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, having refused those that are no plain array of plain numbers."""
    unusual = [f"{name} ({kind})" for name, t in tensors.items() if (kind := _unusual_kind(t))]
    if unusual:
        raise DataError(
            f"The weight file {path} has {len(unusual)} tensors of a kind that no layer can be filled "
            f"with: {_some(unusual)}. Save a state_dict of plain float32 tensors."
        )
    return dict(tensors)


def _unusual_kind(tensor: Tensor) -> str:
    """Return what keeps a tensor from being a plain array of plain numbers; "" if nothing does."""
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_meta:
        return "meta: a shape without numbers"
    if tensor.layout != torch.strided:
        return str(tensor.layout).removeprefix("torch.").replace("_", " ")
    return "" if tensor.dtype in _PLAIN else str(tensor.dtype).removeprefix("torch.")


def put_weights(network: EmbeddingNetwork, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put all weights of a file into a network.

    A file may be of the whole network (this project's checkpoints: ``backbone.``, ``head.``) or of the
    timm backbone alone; a classifier, which embedding needs not, is then left out.

    Raises:
        DataError: if a layer is missing, unknown, of another shape or not finite; the message names it.
    """
    if _is_whole(tensors):
        put_layers(network, tensors, path, _ADVICE)
        return
    if next(network.head.parameters(), None) is not None:
        raise DataError(
            f"The weight file {path} has no embedding head, so embedding_dim = {network.dim} would "
            "project by chance. Set embedding_dim = 0, add a [model.training] table to train the head, or "
            "give a checkpoint that was trained here."
        )
    put_backbone(network, tensors, path)


def put_backbone(
    network: EmbeddingNetwork,
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    with_head: bool = True,
) -> None:
    """Put the weights of a file into a network that is going to be trained.

    The backbone has to fit. Pooling and head are taken from a checkpoint of this project whose layers
    are the very same ones, and stay as they are otherwise.

    Args:
        network: is changed.
        tensors: the weights.
        path: the file that they come from.
        with_head: whether pooling and head may be taken.

    Raises:
        DataError: as ``put_weights``.
    """
    if _is_whole(tensors):
        own = network.state_dict()
        if with_head and {n: t.shape for n, t in tensors.items()} == {
            n: t.shape for n, t in own.items()
        }:
            put_layers(network, tensors, path, _ADVICE)
            return
        tensors = {
            name.removeprefix(_BACKBONE): tensor
            for name, tensor in tensors.items()
            if name.startswith(_BACKBONE)
        }
    backbone = network.backbone
    classifier = _classifier(backbone)
    wanted = backbone.state_dict()
    given = {n: t for n, t in tensors.items() if n in wanted or not n.startswith(classifier)}
    if _problems(given, wanted):
        given = _in_timms_words(given, backbone)
    put_layers(backbone, given, path, _ADVICE)


def _is_whole(tensors: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(_BACKBONE) for name in tensors)


def _classifier(backbone: Any) -> tuple[str, ...]:
    names = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _in_timms_words(given: Mapping[str, Tensor], backbone: Any) -> dict[str, Tensor]:
    """Return weights as timm converts those that a model's authors published, and those of another size.

    timm keeps a ``checkpoint_filter_fn`` beside many architectures, which translates the names of layers
    and resizes the embeddings of positions. What it cannot make sense of stays as it is.
    """
    module = sys.modules[type(backbone).__module__]
    translate = getattr(module, "checkpoint_filter_fn", None)
    if translate is None:
        return dict(given)
    try:
        found = translate(dict(given), backbone)
    except Exception:  # noqa: BLE001  weights of another model make it trip over anything
        return dict(given)
    wanted = backbone.state_dict()
    translated = {
        n: t for n, t in found.items() if n in wanted or not n.startswith(_classifier(backbone))
    }
    return dict(given) if _problems(translated, wanted) else translated


def put_layers(
    target: Any,
    given: Mapping[str, Tensor],
    path: Path,
    advice: str,
    left_out: frozenset[str] = frozenset(),
) -> None:
    """Put tensors by name into a torch module that has the same layers.

    Args:
        target: the module.
        given: the tensors.
        path: the file that they come from.
        advice: what to do where it is another model's.
        left_out: layers that a file may have or not.

    Raises:
        DataError: if a layer is missing, unknown, of another shape, of integers in place of floating-point
            numbers or broken; the message names the layers.
    """
    wanted = {name: t for name, t in target.state_dict().items() if name not in left_out}
    given = {name: t for name, t in given.items() if name not in left_out}
    problems = _problems(given, wanted)
    if problems:
        raise DataError(
            f"The weight file {path} is of another model than this one; layers {'; '.join(problems)}. "
            f"{advice}"
        )
    whole = [
        f"{name} ({str(given[name].dtype).removeprefix('torch.')})"
        for name, tensor in wanted.items()
        if name in given and tensor.is_floating_point() > given[name].is_floating_point()
    ]
    if whole:
        raise DataError(
            f"The weight file {path} has integers in {len(whole)} layers that compute in floating point: "
            f"{_some(whole)}. Save a state_dict of plain float32 tensors."
        )
    broken = [n for n, t in given.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise DataError(
            f"The weight file {path} has NaN or infinity in {len(broken)} layers: {_some(broken)}. "
            "Training must have diverged before it was saved; get another file."
        )
    target.load_state_dict(given, strict=False)


def _problems(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    # Batch norm counts its batches for a momentum of None only; converted files leave the count out.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in wanted]
    other = [
        f"{name} ({_shape(given[name])} in the file, {_shape(wanted[name])} in the model)"
        for name in given
        if name in wanted and given[name].shape != wanted[name].shape
    ]
    groups = (("missing", missing), ("of another shape", other), ("unknown to the model", unknown))
    return [f"{len(names)} {what}: {_some(names)}" for what, names in groups if names]


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
