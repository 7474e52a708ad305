"""The part of a CLIP model that reads texts: its tokenizer and its text tower."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer
from torch import nn

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.models.networks.device import found_device
from cbir_bench.models.networks.embedder import tf32_is

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.models.networks.clip import Architecture, Clip

_BATCH: Final = 256
_SHOWN: Final = 3


def text_vectors(clip: Clip, texts: Sequence[str], device: str, precision: str) -> Matrix:
    """Return the ``(n, dim)`` float32 vectors of texts, each of length 1.

    Args:
        clip: the model.
        texts: any number of them.
        device: "auto", "cpu" or "cuda".
        precision: what most of it is computed in.

    Raises:
        DataError: if the tokenizer cannot be had.
        SettingError: if the model has no place for all of the tokenizer's words, or the device does not
            compute in that precision.
    """
    place = found_device(device)
    if precision in {"tf32", "float16"} and place == "cpu":
        raise SettingError(
            f'precision = "{precision}" needs a CUDA device. Set it to "float32" or "bfloat16".'
        )
    dtype = None if precision in {"float32", "tf32"} else getattr(torch, precision)
    tokens = _tokens(clip, list(texts))
    network = clip.network.to(place)
    vectors = np.empty((len(texts), int(clip.architecture.config["embed_dim"])), np.float32)
    for start in range(0, len(texts), _BATCH):
        rows = slice(start, start + _BATCH)
        with (
            torch.inference_mode(),
            torch.autocast(place, dtype, enabled=dtype is not None),
            tf32_is(allowed=precision == "tf32"),
        ):
            encoded = network.encode_text(tokens[rows].to(place), normalize=True)
        vectors[rows] = nn.functional.normalize(encoded.float(), dim=1).cpu().numpy()
    return vectors


def _tokens(clip: Clip, texts: list[str]) -> Tensor:
    """Return ``(n, context_length)`` the numbers of the words of texts."""
    tokenizer = _tokenizer(clip.architecture)
    n_words = getattr(tokenizer, "vocab_size", 0)
    n_places = getattr(clip.network, "vocab_size", n_words)
    if n_words > n_places:
        raise SettingError(
            f"The tokenizer of {clip.architecture.name!r} has {n_words} words, but text_cfg has "
            f"vocab_size = {n_places}. Set vocab_size to {n_words}."
        )
    length = tokenizer.context_length
    tokens = tokenizer(texts)
    longer = tokenizer(texts, context_length=length + 1)  # differs where the end was cut off
    _warn_of_long(
        [t for t, cut in zip(texts, _rows_differ(tokens, longer), strict=True) if cut], length
    )
    return tokens


def _rows_differ(tokens: Tensor, longer: Tensor) -> list[bool]:
    differ: list[bool] = (tokens != longer[:, : tokens.shape[1]]).any(1).tolist()
    return differ


def _warn_of_long(texts: list[str], length: int) -> None:
    if texts:
        shown = ", ".join(map(repr, texts[:_SHOWN])) + (", ..." if len(texts) > _SHOWN else "")
        warnings.warn(
            f"{len(texts)} texts have more than the {length} tokens that the model reads, and their ends "
            f"are cut off: {shown}. Shorten the template or the names of classes.",
            stacklevel=2,
        )


def _tokenizer(architecture: Architecture) -> Any:
    try:
        if architecture.built_in:
            return open_clip.get_tokenizer(architecture.name)
        settings = architecture.config["text_cfg"]
        length = settings.get("context_length", DEFAULT_CONTEXT_LENGTH)
        more = dict(settings.get("tokenizer_kwargs") or {})
        if name := settings.get("hf_tokenizer_name"):
            if "tokenizer_mode" in settings:
                more["tokenizer_mode"] = settings["tokenizer_mode"]
            return HFTokenizer(name, context_length=length, **more)
        return open_clip.SimpleTokenizer(context_length=length, **more)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a download fails in any way
        raise DataError(
            f"The tokenizer of {architecture.name!r} cannot be had: {type(error).__name__}: "
            f"{(str(error).strip().splitlines() or ['no reason given'])[0].rstrip('.')}. Check the network, "
            "or choose a model whose tokenizer open_clip ships (ViT-B-32)."
        ) from error
