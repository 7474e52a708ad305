"""CGD: several global descriptors of one map, side by side.

Jun, Ko, Kim, Kim and Kim, "Combination of Multiple Global Descriptors for Image Retrieval", 2019: each
descriptor is pooled, reduced by a linear map and scaled to length 1; their concatenation is ranked. The
first one's pooled features are classified beside it, after batch normalisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cbir_bench.models.networks.heads import Branches, unit
from cbir_bench.models.networks.pooling import (
    AveragePooling,
    FixedGeneralizedMeanPooling,
    MaxPooling,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class CombinedDescriptors(nn.Module):
    """A head on ``(n, channels, rows, columns)``.

    Args:
        descriptors: the branches in their order: "S" averages (SPoC), "M" takes the maximum (MAC), "G" the
            generalised mean (GeM).
        channels: of the map.
        dim: length of the vectors; every branch gets an equal share.
        gem_p: exponent of "G", which is not trained, as in the paper.
    """

    def __init__(self, descriptors: str, channels: int, dim: int, gem_p: float) -> None:
        super().__init__()
        makers: dict[str, Callable[[], nn.Module]] = {
            "S": AveragePooling,
            "M": MaxPooling,
            "G": lambda: FixedGeneralizedMeanPooling(gem_p),
        }
        share = dim // len(descriptors)
        self.poolings = nn.ModuleList(makers[letter]() for letter in descriptors)
        self.reductions = nn.ModuleList(nn.Linear(channels, share, bias=False) for _ in descriptors)
        self.auxiliary_norm = nn.BatchNorm1d(channels)
        self.dim = dim
        self.ranked_dims: tuple[int, ...] = (dim,)
        self.classified_dims: tuple[int, ...] = (channels,)

    def forward(self, described: Tensor) -> Tensor:
        """Return ``(n, dim)``: the descriptors, of length 1 each, side by side."""
        return self._combined([pool(described) for pool in self.poolings])

    def branches(self, described: Tensor) -> Branches:
        """Return the combined vector to rank and the first branch's features to classify."""
        pooled = [pool(described) for pool in self.poolings]
        auxiliary = self.auxiliary_norm(pooled[0]).float()
        return Branches((unit(self._combined(pooled)),), (auxiliary,))

    def _combined(self, pooled: list[Tensor]) -> Tensor:
        pairs = zip(self.reductions, pooled, strict=True)
        return torch.cat([unit(reduce(one)) for reduce, one in pairs], dim=1)
