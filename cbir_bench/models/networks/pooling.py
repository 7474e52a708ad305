"""Pooling: from a map of features to one vector.

SPoC (average): Babenko and Lempitsky, ICCV 2015. MAC (maximum): Razavian et al., 2016. Generalised mean
(GeM): Radenovic, Tolias and Chum, TPAMI 2019, section 3.2. R-MAC is in ``regions``.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

_SMALLEST: Final = 1e-6
"""GeM raises features to a power, so it clamps them to this from below, as its authors do."""


class AveragePooling(nn.Module):
    """``(n, channels, rows, columns)`` to ``(n, channels)``: the mean over positions (SPoC)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean over positions."""
        return features.flatten(2).mean(dim=2)


class MaxPooling(nn.Module):
    """``(n, channels, rows, columns)`` to ``(n, channels)``: the maximum over positions (MAC)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the maximum over positions."""
        return features.amax(dim=(2, 3))


class GeneralizedMeanPooling(nn.Module):
    """``(n, channels, rows, columns)`` to ``(n, channels)``: the p-norm mean over positions (GeM).

    ``p = 1`` is the average and large ``p`` approaches the maximum. Negative features count as 0.

    Args:
        p: where the learned exponent starts.
        n_exponents: 1 for one learned exponent for all channels, or the number of channels for one each.
    """

    def __init__(self, p: float, n_exponents: int = 1) -> None:
        super().__init__()
        start = torch.tensor(float(p))
        self.p = nn.Parameter(start if n_exponents == 1 else start.repeat(n_exponents))

    def forward(self, features: Tensor) -> Tensor:
        """Return ``mean(features ** p) ** (1 / p)`` over positions, computed in float32."""
        positive = features.flatten(2).float().clamp(min=_SMALLEST)
        return positive.pow(self.p.unsqueeze(-1)).mean(dim=2).pow(1 / self.p)


class FixedGeneralizedMeanPooling(nn.Module):
    """GeM with an exponent that training leaves alone."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = float(p)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``mean(features ** p) ** (1 / p)`` over positions, computed in float32."""
        positive = features.flatten(2).float().clamp(min=_SMALLEST)
        return positive.pow(self.p).mean(dim=2).pow(1 / self.p)
