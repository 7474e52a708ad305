"""Pooling: from the features of every position of an image to one vector.

Generalised-mean pooling (GeM): Radenovic, Tolias and Chum, TPAMI 2019, section 3.2.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from cbir_bench.core.errors import SettingError

_SMALLEST: Final = 1e-6
"""GeM raises features to a power, so it clamps them to this from below, as its authors do."""


class AveragePooling(nn.Module):
    """``(n, channels, positions)`` to ``(n, channels)``: the mean over positions (SPoC)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean over positions."""
        return features.mean(dim=2)


class MaxPooling(nn.Module):
    """``(n, channels, positions)`` to ``(n, channels)``: the maximum over positions (MAC)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the maximum over positions."""
        return features.amax(dim=2)


class GeneralizedMeanPooling(nn.Module):
    """``(n, channels, positions)`` to ``(n, channels)``: the p-norm mean over positions.

    ``p = 1`` is the average and large ``p`` approaches the maximum. ``p`` is one learned number for
    all channels. Negative features count as 0.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(float(p)))

    def forward(self, features: Tensor) -> Tensor:
        """Return ``mean(features ** p) ** (1 / p)`` over positions, computed in float32."""
        positive = features.float().clamp(min=_SMALLEST)
        return positive.pow(self.p).mean(dim=2).pow(1 / self.p)


def make_pooling(kind: str, p: float) -> nn.Module:
    """Return the pooling called "avg", "max" or "gem"."""
    if kind == "gem":
        return GeneralizedMeanPooling(p)
    return MaxPooling() if kind == "max" else AveragePooling()


def by_position(features: Any, backbone: Any) -> Tensor:
    """Return what a timm model's ``forward_features`` gave as ``(n, channels, positions)``.

    Maps may be channels-first or channels-last; of token sequences the class and register tokens,
    which stand for no position, are left out.

    Raises:
        SettingError: if the features have no positions to pool over.
    """
    channels = backbone.num_features
    if isinstance(features, Tensor) and features.ndim == 4:
        channels_last = str(getattr(backbone, "output_fmt", "")).endswith("NHWC")
        if channels_last or features.shape[1] != channels == features.shape[3]:
            features = features.permute(0, 3, 1, 2)
        return features.flatten(2)
    if isinstance(features, Tensor) and features.ndim == 3 and features.shape[2] == channels:
        return features[:, getattr(backbone, "num_prefix_tokens", 0) :].transpose(1, 2)
    found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
    raise SettingError(
        f"The features of {type(backbone).__name__} are {found}, neither a map nor tokens, so there is "
        'nothing to pool over. Set pooling = "model", or choose another backbone.'
    )
