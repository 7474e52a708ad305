"""How pictures look, in few numbers: a difference hash and a thumbnail each, to find pictures seen before.

The hash ("dHash", Krawetz, 2013) has 64 bits: whether each of 8 x 8 cells of the grey picture is darker than
its right neighbour. Scaling, compression and brightness hardly change it, but drawings on white or
clothes before one curtain have few bits to differ in. So the edges of the thumbnails have the last word.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.ahead import ahead
from cbir_bench.core.hashing import hash_array, key_of
from cbir_bench.datasets.remember import remember

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Image, Matrix
    from cbir_bench.core.dataset import Dataset

LOOKS_VERSION: Final = 1
"""Part of the cache's key; raised when the same picture would get other numbers.

That, and any other bound below, changes what is excluded as a near-duplicate: raise
``core.trial.TRIAL_VERSION``, too.
"""
HASH_BITS: Final = 64
MOST_BITS: Final = 6
"""Bits in which the hashes of near-duplicates may differ."""
MOST_DIFFERENCE: Final = 0.1
"""Mean square difference of their thumbnails' edges, in shares of the mean squares of both."""
MOST_COLOUR: Final = 32.0
"""Difference of their mean colours, in levels of 256 of any channel."""
_CELLS: Final = (9, 8)
_SIDE: Final = 32
_CELL: Final = 2
_ROUNDING: Final = 1.001
_AT_ONCE: Final = 32
_READERS: Final = 2
_PAIRS_AT_ONCE: Final = 1 << 13
_THUMBNAILS_AT_ONCE: Final = 1 << 10


class _Summary(NamedTuple):
    """What rules most pairs out before their thumbnails are compared; rows are pictures."""

    colour: NDArray[np.float32]
    energy: NDArray[np.float64]
    coarse: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Looks:
    """Two descriptions of each of some pictures.

    Attributes:
        hashes: ``(n, 64)`` bits.
        thumbnails: ``(n, 32, 32, 3)`` uint8, RGB.
    """

    hashes: NDArray[np.bool_]
    thumbnails: NDArray[np.uint8]

    def signs(self) -> Matrix:
        """Return ``(n, 64)`` hashes as vectors of length 1, whose products tell how many bits differ."""
        return np.where(self.hashes, np.float32(0.125), np.float32(-0.125))

    @staticmethod
    def least_product() -> float:
        """Return the product of ``signs`` that near-duplicates reach."""
        return 1 - 2 * MOST_BITS / HASH_BITS

    def same(self, left: Ids, right: Ids) -> NDArray[np.bool_]:
        """Return whether each pair has nearly the same edges in nearly the same colours."""
        summary, alike = self._summary, np.zeros(len(left), bool)
        for pairs in _parts(len(left), _PAIRS_AT_ONCE):
            mine, other = left[pairs], right[pairs]
            most = MOST_DIFFERENCE * (summary.energy[mine] + summary.energy[other])
            colour = np.abs(summary.colour[mine] - summary.colour[other]).max(axis=1)
            # The means of cells differ by no more than the cells do: most pairs need no second look.
            coarse = _mean_square(summary.coarse[mine] - summary.coarse[other])
            likely = np.flatnonzero((colour <= MOST_COLOUR) & (coarse <= _ROUNDING * most))
            for some in _parts(len(likely), _THUMBNAILS_AT_ONCE):
                rows = likely[some]
                apart = (
                    self.thumbnails[mine[rows]].astype(np.float32) - self.thumbnails[other[rows]]
                )
                alike[pairs.start + rows] = _mean_square(_edges(apart)) <= most[rows]
        return alike

    @cached_property
    def _summary(self) -> _Summary:
        return _summary(self.thumbnails)


def looks_of(dataset: Dataset, rows: NDArray[np.int64], cache: Path) -> Looks:
    """Return how some pictures of a data set look; each is decoded once and remembered in ``cache``.

    Args:
        dataset: its images are read from two threads.
        rows: which pictures, at least one.
        cache: a folder; where it cannot be written nothing is remembered, which costs time only.

    Raises:
        DataError: if a picture cannot be read.
    """
    key = key_of([LOOKS_VERSION, dataset.content_hash, hash_array(rows)])
    path = cache / "looks" / f"{key}.npz"
    known = _load(path, len(rows))
    if known is not None:
        return known
    batches = [rows[part] for part in _parts(len(rows), _AT_ONCE)]
    seen = ahead(
        lambda batch: [_look(image) for image in dataset.images.read(batch.tolist())],
        batches,
        n_threads=_READERS,
    )
    found = [look for batch in seen for look in batch]
    looks = Looks(np.stack([bits for bits, _ in found]), np.stack([small for _, small in found]))
    _store(path, looks)
    return looks


def _look(image: Image) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    from PIL import Image as PILImage

    picture = PILImage.fromarray(image)
    box = PILImage.Resampling.BOX
    grey = np.asarray(picture.convert("L").resize(_CELLS, box))
    return (grey[:, :-1] < grey[:, 1:]).ravel(), np.array(picture.resize((_SIDE, _SIDE), box))


def _summary(thumbnails: NDArray[np.uint8]) -> _Summary:
    n, n_cells = len(thumbnails), _SIDE // _CELL
    summary = _Summary(
        colour=thumbnails.mean(axis=(1, 2), dtype=np.float32),
        energy=np.empty(n),
        coarse=np.empty((n, n_cells * n_cells * 2), np.float32),
    )
    for part in _parts(n, _THUMBNAILS_AT_ONCE):
        edges = _edges(thumbnails[part].astype(np.float32))
        summary.energy[part] = _mean_square(edges)
        cells = edges.reshape(-1, n_cells, _CELL, n_cells, _CELL, 2, 3)
        summary.coarse[part] = cells.mean(axis=(2, 4, 6)).reshape(len(edges), -1)
    return summary


def _edges(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(n, height, width, 6)`` differences of each pixel to the right and to the one below."""
    edges = np.zeros((*pictures.shape[:3], 6), np.float32)
    edges[:, :, :-1, :3] = np.diff(pictures, axis=2)
    edges[:, :-1, :, 3:] = np.diff(pictures, axis=1)
    return edges


def _mean_square(rows: NDArray[Any]) -> NDArray[np.float64]:
    flat = rows.reshape(len(rows), -1)
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", flat, flat) / max(1, flat.shape[1])
    return squares


def _parts(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of ``n`` things."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _load(path: Path, n: int) -> Looks | None:
    """Return what is remembered; None if it is absent or torn, as it can be made again."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            looks = Looks(file["hashes"], file["thumbnails"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return looks if len(looks.hashes) == n else None


def _store(path: Path, looks: Looks) -> None:
    remember(path, lambda file: np.savez(file, hashes=looks.hashes, thumbnails=looks.thumbnails))
