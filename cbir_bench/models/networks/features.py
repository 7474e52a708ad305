"""What timm's backbones give before pooling, in one layout: a map of positions, or the class token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from cbir_bench.core.errors import SettingError


def as_map(features: Any, backbone: Any, height: int, width: int) -> Tensor:
    """Return what a timm model's ``forward_features`` gave as ``(n, channels, rows, columns)``.

    Maps may be channels-first or channels-last. Of a sequence of tokens those that stand for a patch
    go to the patch's place; class and register tokens, which stand for no place, are left out.

    Args:
        features: what the backbone gave.
        backbone: the timm model.
        height: of the images; with ``width`` it decides the grid of the tokens.
        width: of the images.

    Raises:
        SettingError: if the features have no positions to pool over.
    """
    channels = backbone.num_features
    if isinstance(features, Tensor) and features.ndim == 4:
        channels_last = str(getattr(backbone, "output_fmt", "")).endswith("NHWC")
        if channels_last or features.shape[1] != channels == features.shape[3]:
            features = features.permute(0, 3, 1, 2)
        return features
    if _are_tokens(features, channels):
        patches = features[:, _n_prefix_tokens(backbone) :]
        rows, columns = _grid(patches.shape[1], height, width)
        if rows * columns:
            return patches.transpose(1, 2).unflatten(2, (rows, columns))
    raise SettingError(
        f"The features of {type(backbone).__name__} are {_shape(features)}, neither a map nor the tokens of "
        'a grid, so there is nothing to pool over. Set pooling = "model", or choose another backbone.'
    )


def class_token(features: Any, backbone: Any) -> Tensor:
    """Return the ``(n, channels)`` class token of what ``forward_features`` gave.

    Raises:
        SettingError: if the backbone has none.
    """
    if not _are_tokens(features, backbone.num_features) or not has_class_token(backbone):
        raise SettingError(
            f'{type(backbone).__name__} has no class token, so pooling = "cls" has nothing to take. '
            'Set pooling to "avg" or "model", or choose a vision transformer with a class token.'
        )
    token: Tensor = features[:, 0]
    return token


def has_class_token(backbone: Any) -> bool:
    """Whether the first token of a timm model stands for the whole image."""
    return getattr(backbone, "cls_token", None) is not None or _pools_by_token(backbone)


def _pools_by_token(backbone: Any) -> bool:
    return str(getattr(backbone, "global_pool", "")) == "token"


def _n_prefix_tokens(backbone: Any) -> int:
    """Return how many tokens precede those of the patches; not every family of timm says so."""
    return int(getattr(backbone, "num_prefix_tokens", _pools_by_token(backbone)))


def _are_tokens(features: Any, channels: int) -> bool:
    return isinstance(features, Tensor) and features.ndim == 3 and features.shape[2] == channels


def _grid(n: int, height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns of ``n`` patches in the shape of the image; (0, 0) if there are none."""
    rows = round((n * height / width) ** 0.5)
    return (rows, n // rows) if rows and n % rows == 0 else (0, 0)


def _shape(features: Any) -> str:
    return str(tuple(features.shape)) if isinstance(features, Tensor) else type(features).__name__
