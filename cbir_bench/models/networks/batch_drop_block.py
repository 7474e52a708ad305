"""BDB: a second branch learns to do without a part of the image.

Dai, Chen, Gu, Zhu and Tan, "Batch DropBlock Network for Person Re-identification and Beyond", ICCV 2019:
beside the global branch, a residual block and a rectangle that is dropped from the maps of a whole batch
while training, the same one for every image, so that the maximum has to be found elsewhere.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.heads import Branches, unit


class BatchDropBlock(nn.Module):
    """A head on ``(n, channels, rows, columns)``.

    Both branches give vectors of length 1, which are ranked each on its own while training and stand
    side by side afterwards; their features before scaling are classified.

    Args:
        shape: channels, rows and columns of the map that it is trained on.
        dim: length of the vectors, of which a third is the global branch's, as in the paper.
        drop_height, drop_width: sides of the rectangle, as shares of the map's.

    Raises:
        SettingError: if the rectangle would have no position of the map, or all.
    """

    def __init__(
        self, shape: tuple[int, int, int], dim: int, drop_height: float, drop_width: float
    ) -> None:
        super().__init__()
        channels, rows, columns = shape
        global_dim, dropped_dim = dim // 3, dim - dim // 3
        self.drop = _DroppedRectangle(drop_height, drop_width)
        n_dropped = self.drop.rows(rows) * self.drop.columns(columns)
        if n_dropped in {0, rows * columns}:
            raise SettingError(
                f"drop_height = {drop_height} and drop_width = {drop_width} drop {n_dropped} of the "
                f"{rows * columns} positions of a map of {rows} x {columns}. Change them, or get a larger "
                "map by a smaller output_stride or a larger image_size."
            )
        self.global_reduction = _reduction(channels, global_dim)
        self.block = _bottleneck(channels)
        self.dropped_reduction = _reduction(channels, dropped_dim)
        self.dim = dim
        self.ranked_dims: tuple[int, ...] = (global_dim, dropped_dim)
        self.classified_dims: tuple[int, ...] = (global_dim, dropped_dim)

    def forward(self, described: Tensor) -> Tensor:
        """Return ``(n, dim)``: the global and the other branch, of length 1 each, side by side."""
        return torch.cat([unit(one) for one in self._both(described)], dim=1)

    def branches(self, described: Tensor) -> Branches:
        """Return both branches, each to rank and to classify."""
        both = self._both(described)
        return Branches(tuple(unit(one) for one in both), tuple(one.float() for one in both))

    def _both(self, described: Tensor) -> tuple[Tensor, Tensor]:
        average = described.flatten(2).mean(dim=2)
        largest = self.drop(self.block(described)).amax(dim=(2, 3))
        return self.global_reduction(average), self.dropped_reduction(largest)


class _DroppedRectangle(nn.Module):
    """Sets a random rectangle of the maps to 0, the same in all of them; only while training."""

    def __init__(self, height: float, width: float) -> None:
        super().__init__()
        self.height, self.width = height, width

    def rows(self, of: int) -> int:
        return round(self.height * of)

    def columns(self, of: int) -> int:
        return round(self.width * of)

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return features
        rows, columns = features.shape[2:]
        height, width = self.rows(rows), self.columns(columns)
        top, left = _up_to(rows - height), _up_to(columns - width)
        kept = features.new_ones(1, 1, rows, columns)
        kept[:, :, top : top + height, left : left + width] = 0
        return features * kept


def _up_to(most: int) -> int:
    return int(torch.randint(0, most + 1, ()))


def _reduction(channels: int, dim: int) -> Any:
    return nn.Sequential(nn.Linear(channels, dim), nn.BatchNorm1d(dim), nn.ReLU())


def _bottleneck(channels: int) -> Any:
    """Return ResNet's block of three convolutions beside the identity (He et al., CVPR 2016)."""
    return _Residual(
        *_convolution(channels, max(1, channels // 4), 1),
        nn.ReLU(),
        *_convolution(max(1, channels // 4), max(1, channels // 4), 3),
        nn.ReLU(),
        *_convolution(max(1, channels // 4), channels, 1),
    )


def _convolution(before: int, after: int, side: int) -> tuple[Any, Any]:
    convolution = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
    return convolution, nn.BatchNorm2d(after)


class _Residual(nn.Sequential):
    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.relu(features + super().forward(features))
