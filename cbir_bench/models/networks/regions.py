"""R-MAC: the maximum over each of many square regions, added up.

Tolias, Sicre and Jegou, "Particular object retrieval with integral max-pooling of CNN activations",
ICLR 2016, section 3.2. Regions of scale ``l`` are ``2 min(rows, columns) / (l + 1)`` wide. There are
``l`` of them along the shorter side and ``l + m - 1`` along the longer one, with the ``m`` for which
neighbours of the first scale overlap by as near as possible to 40 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

_OVERLAP: Final = 0.4
_MOST_ALONG_THE_LONGER_SIDE: Final = 64


class Scale(NamedTuple):
    """The regions of one scale: every combination of a top and a left edge.

    Attributes:
        width: of the squares, in positions.
        tops, lefts: where they begin.
    """

    width: int
    tops: list[int]
    lefts: list[int]


def scales(rows: int, columns: int, n_levels: int) -> Iterator[Scale]:
    """Yield the regions of each scale on a map, the largest first.

    Widths are rounded down to whole positions, to at least one; so are the places of the regions, of
    which the first begins at the map's edge and the last ends at the other.
    """
    shorter = min(rows, columns)
    more = _more_along_the_longer_side(shorter, max(rows, columns))
    for level in range(1, n_levels + 1):
        width = max(1, 2 * shorter // (level + 1))
        tops = _starts(rows, width, level + more * (rows > columns))
        lefts = _starts(columns, width, level + more * (columns > rows))
        yield Scale(width, tops, lefts)


def _more_along_the_longer_side(shorter: int, longer: int) -> int:
    """Return m - 1: how many more regions the longer side has than the shorter one."""
    if shorter == longer:
        return 0
    counts = range(2, _MOST_ALONG_THE_LONGER_SIDE)
    overlap = {m: 1 - (longer - shorter) / (m - 1) / shorter for m in counts}
    return min(counts, key=lambda m: abs(overlap[m] - _OVERLAP)) - 1


def _starts(side: int, width: int, n: int) -> list[int]:
    return [i * (side - width) // max(1, n - 1) for i in range(n)]


class RegionalMaxPooling(nn.Module):
    """``(n, channels, rows, columns)`` to ``(n, channels)``: the sum of regions' unit vectors (R-MAC).

    Args:
        n_levels: how many scales of regions.
    """

    def __init__(self, n_levels: int) -> None:
        super().__init__()
        self.n_levels = n_levels
        self.whitening: RegionWhitening | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum of the regions' vectors, which are of length 1 each and whitened before."""
        regions = self.regions(features)
        if self.whitening is not None:
            regions = functional.normalize(self.whitening(regions), dim=2)
        return regions.sum(dim=1)

    def regions(self, features: Tensor) -> Tensor:
        """Return ``(n, n_regions, channels)`` float32: the maximum over each region, scaled to length 1.

        All windows of one scale are pooled at once, and the wanted ones taken from them.
        """
        features = features.float()
        found = []
        rows, columns = features.shape[2:]
        for scale in scales(rows, columns, self.n_levels):
            windows = functional.max_pool2d(features, scale.width, stride=1)
            windows = windows[:, :, _index(scale.tops, windows), :]
            found.append(windows[:, :, :, _index(scale.lefts, windows)].flatten(2))
        return functional.normalize(torch.cat(found, dim=2), dim=1).transpose(1, 2)


def _index(places: list[int], like: Tensor) -> Tensor | slice:
    """Return places as a slice where they are evenly spaced, as they mostly are: no copy, no transfer."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if step > 0 and places == list(range(places[0], places[-1] + 1, step)):
        return slice(places[0], places[-1] + 1, step)
    return torch.tensor(places, device=like.device)


class RegionWhitening(nn.Module):
    """``(n, n_regions, channels)`` to ``(n, n_regions, dim)``: centred, rotated and scaled.

    Args:
        mean: ``(channels,)``.
        projection: ``(dim, channels)``.
    """

    def __init__(self, mean: Tensor, projection: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("projection", projection, persistent=False)

    def forward(self, regions: Tensor) -> Tensor:
        """Return the whitened regions."""
        return functional.linear(regions - self.mean, self.projection)
