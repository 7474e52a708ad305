"""RaBitQ. Gao and Long, SIGMOD 2024; more than one bit: Gao et al., SIGMOD 2025."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes
from cbir_bench.quantizers.packing import pack, packed_width, unpack
from cbir_bench.quantizers.rotation import random_rotation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_STEPS: Final = {2: 0.9957, 4: 0.3352, 8: 0.0308}
"""Steps of the best even levels for a normal variable of variance 1 (Max, 1960)."""
_FACTORS: Final = np.linspace(0.7, 1.4, 15, dtype=np.float32)
"""Steps that are tried for each vector, as multiples of the one above."""
_BLOCK: Final = 4096
"""Vectors encoded at once, which bounds the memory of what is tried."""
_SCALE_BYTES: Final = 4


class RabitqCodebook(NamedTuple):
    """``value = (levels * scale) @ rotation.T + centre``.

    Attributes:
        centre: ``(dim,)`` mean of the vectors it was fitted on.
        rotation: ``(dim, dim)`` orthonormal.
    """

    centre: NDArray[np.float32]
    rotation: NDArray[np.float32]


@QUANTIZERS.register("rabitq")
@dataclass(frozen=True, kw_only=True)
class RabitqQuantizer:
    """Keeps signs or few levels of the randomly rotated difference to the mean, and one scale.

    The scale makes the inner product of a decoded vector and any other one, over random rotations, right
    on average: the estimator of the paper. With more than one bit the levels are the best in angle of
    15 step sizes, where the paper tries every one that differs.

    Attributes:
        n_bits: bits per dimension: 1, 2, 4 or 8.
        seed: of the rotation.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    n_bits: Literal[1, 2, 4, 8] = 1
    seed: int = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> RabitqCodebook:
        """Return the mean and the rotation."""
        centre = training.mean(axis=0, dtype=np.float64).astype(np.float32)
        return RabitqCodebook(centre, random_rotation(training.shape[1], self.seed))

    def encode(self, codebook: RabitqCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, ceil(dim * n_bits / 8) + 4)`` bytes: the levels, then the scale as float32."""
        codes = np.empty((len(vectors), self.bytes_per_vector(vectors.shape[1])), np.uint8)
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            rotated = np.matmul(vectors[block] - codebook.centre, codebook.rotation)
            levels = self._levels(rotated)
            numbers = (levels + np.float32(2 ** (self.n_bits - 1))).astype(np.uint8)
            codes[block, :-_SCALE_BYTES] = pack(numbers, self.n_bits)
            codes[block, -_SCALE_BYTES:] = _scales(rotated, levels)[:, None].view(np.uint8)
        return codes

    def decode(self, codebook: RabitqCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the vectors that give the paper's estimate of every inner product."""
        numbers = unpack(codes[:, :-_SCALE_BYTES], len(codebook.centre), self.n_bits)
        levels = numbers.astype(np.float32) - np.float32(2 ** (self.n_bits - 1) - 0.5)
        scales = np.ascontiguousarray(codes[:, -_SCALE_BYTES:]).view(np.float32)
        decoded: Matrix = np.matmul(levels * scales, codebook.rotation.T) + codebook.centre
        return decoded

    def bytes_per_vector(self, dim: int) -> int:
        """Return ``n_bits`` per dimension, rounded up to bytes, and 4 bytes."""
        return packed_width(dim, self.n_bits) + _SCALE_BYTES

    def codebook_bytes(self, codebook: RabitqCodebook) -> int:
        """Return 4 bytes per number of the mean and the rotation."""
        return array_bytes(codebook)

    def _levels(self, rotated: Matrix) -> Matrix:
        """Return ``(n, dim)`` odd multiples of one half, those of several steps that are best in angle."""
        if self.n_bits == 1:
            return np.where(rotated >= 0, np.float32(0.5), np.float32(-0.5))
        spread = np.sqrt(np.mean(rotated**2, axis=1, keepdims=True))
        unit = np.divide(rotated, spread, out=np.zeros_like(rotated), where=spread > 0)
        steps = _STEPS[self.n_bits] * _FACTORS
        return _best_in_angle(unit, (self._at_step(unit, step) for step in steps))

    def _at_step(self, values: Matrix, step: np.float32) -> Matrix:
        most = np.float32(2 ** (self.n_bits - 1) - 0.5)
        levels: Matrix = np.clip(np.floor(values / step) + np.float32(0.5), -most, most)
        return levels


def _best_in_angle(values: Matrix, tried: Iterable[Matrix]) -> Matrix:
    """Return of each row that one of the tried ones whose angle to it is the smallest."""
    best, cosines = np.zeros_like(values), np.full(len(values), -np.inf, np.float32)
    for levels in tried:
        lengths = np.sqrt(np.einsum("ij,ij->i", levels, levels))
        cosine = np.einsum("ij,ij->i", levels, values) / lengths
        better = cosine > cosines
        best[better], cosines[better] = levels[better], cosine[better]
    return best


def _scales(rotated: Matrix, levels: Matrix) -> NDArray[np.float32]:
    """Return ``|o| / <o', o / |o|>`` for the direction ``o'`` of the levels, in units of them."""
    squares = np.einsum("ij,ij->i", rotated, rotated)
    products = np.einsum("ij,ij->i", levels, rotated)
    # A vector at the centre has no direction; its scale is 0, whatever its levels are.
    scales: NDArray[np.float32] = np.divide(
        squares, products, out=np.zeros_like(squares), where=products > 0
    )
    return scales
