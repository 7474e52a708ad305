"""Scalar quantisation to 4 bits with bounds per dimension. Jacob et al., CVPR 2018, section 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Lt

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.levels import Bounds, fit_levels, nearest_levels, values_of
from cbir_bench.quantizers.packing import pack, packed_width, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.quantizers.levels import LevelsCodebook


@QUANTIZERS.register("int4")
@dataclass(frozen=True, kw_only=True)
class Int4Quantizer:
    """Rounds every value to one of 16 levels between the bounds of its dimension, two to a byte.

    Values beyond the bounds of the vectors it was fitted on are clipped to them.

    Attributes:
        bounds: "minmax" lays 16 levels from the smallest to the largest value of a dimension,
            "symmetric" 15 about 0, so that 0 stays 0.
        clip_percent: share of the training values, in percent at either end, that the bounds leave
            out, 0 to below 50; with so few levels rare extremes cost more than clipping them does.
        n_training: vectors that the bounds are taken from, drawn by the seed; 0 for all.
        seed: of the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    bounds: Bounds = "minmax"
    clip_percent: Annotated[float, Ge(0), Lt(50)] = 0.5
    n_training: Annotated[int, Ge(0)] = 100_000
    seed: int = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> LevelsCodebook:
        """Return the step and the middle of each dimension of ``(n, dim)`` vectors."""
        return fit_levels(
            sampled(training, self.n_training, self.seed),
            bounds=self.bounds,
            clip_percent=self.clip_percent,
            n_levels=self._n_levels,
        )

    def encode(self, codebook: LevelsCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, ceil(dim / 2))`` bytes."""
        levels = nearest_levels(codebook, vectors, self._n_levels)
        return pack((levels + 8).astype(np.uint8), 4)

    def decode(self, codebook: LevelsCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the float32 value of each level."""
        levels = unpack(codes, len(codebook.step), 4).astype(np.int8) - np.int8(8)
        return values_of(codebook, levels, self._n_levels)

    def bytes_per_vector(self, dim: int) -> int:
        """Return half a byte per dimension, rounded up."""
        return packed_width(dim, 4)

    def codebook_bytes(self, codebook: LevelsCodebook) -> int:
        """Return 8 bytes per dimension."""
        return array_bytes(codebook)

    @property
    def _n_levels(self) -> int:
        return 16 if self.bounds == "minmax" else 15
