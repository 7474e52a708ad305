"""One bit per dimension: its sign. Charikar, "Similarity estimation techniques", STOC 2002."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.packing import pack, packed_width, unpack
from cbir_bench.quantizers.rotation import random_rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class BinaryCodebook(NamedTuple):
    """``value = (sign * size) @ rotation.T + centre``.

    Attributes:
        centre: ``(dim,)``.
        size: ``(1,)`` mean distance of a coordinate from 0.
        rotation: ``(dim, dim)`` orthonormal, or ``(0, 0)`` for none.
    """

    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    rotation: NDArray[np.float32]


@QUANTIZERS.register("binary")
@dataclass(frozen=True, kw_only=True)
class BinaryQuantizer:
    """Keeps the sign of every value; all decode to one size, which the mean of their sizes gives.

    Queries are not quantised, so similarities have more values than a Hamming distance.

    Attributes:
        centre: what signs are taken about: "none" (0), or the "mean" or "median" of each dimension, so
            that each bit splits the vectors in about half.
        rotation: whether a random rotation comes first, which spreads what few dimensions hold.
        n_training: vectors that centre and size are learnt from, drawn by the seed; 0 for all.
        seed: of the rotation and the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    centre: Literal["none", "mean", "median"] = "none"
    rotation: bool = False
    n_training: Annotated[int, Ge(0)] = 100_000
    seed: int = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> BinaryCodebook:
        """Return the centre, the size and the rotation."""
        drawn = sampled(training, self.n_training, self.seed)
        dim = training.shape[1] if self.rotation else 0
        rotation = random_rotation(dim, self.seed)
        codebook = BinaryCodebook(_centre(drawn, self.centre), np.ones(1, np.float32), rotation)
        size = np.abs(_coordinates(codebook, drawn)).mean(dtype=np.float64)
        return codebook._replace(size=np.array([size], np.float32))

    def encode(self, codebook: BinaryCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, ceil(dim / 8))`` bytes; a bit is set where the coordinate is 0 or more."""
        return pack((_coordinates(codebook, vectors) >= 0).astype(np.uint8), 1)

    def decode(self, codebook: BinaryCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the vectors with every coordinate at the size that all have."""
        signs = unpack(codes, len(codebook.centre), 1).astype(np.float32) * 2 - 1
        values = signs * codebook.size
        if len(codebook.rotation):
            values = np.matmul(values, codebook.rotation.T)
        decoded: Matrix = values + codebook.centre
        return decoded

    def bytes_per_vector(self, dim: int) -> int:
        """Return 1 bit per dimension, rounded up to bytes."""
        return packed_width(dim, 1)

    def codebook_bytes(self, codebook: BinaryCodebook) -> int:
        """Return 4 bytes per number of the centre, the rotation and the size."""
        return array_bytes(codebook)


def _coordinates(codebook: BinaryCodebook, vectors: Matrix) -> Matrix:
    centred: Matrix = vectors - codebook.centre
    if not len(codebook.rotation):
        return centred
    rotated: Matrix = np.matmul(centred, codebook.rotation)
    return rotated


def _centre(vectors: Matrix, kind: str) -> NDArray[np.float32]:
    if kind == "none":
        return np.zeros(vectors.shape[1], np.float32)
    middle: NDArray[np.float64]
    middle = vectors.mean(0, np.float64) if kind == "mean" else np.median(vectors, axis=0)
    return middle.astype(np.float32)
