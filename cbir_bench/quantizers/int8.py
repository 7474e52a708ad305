"""Scalar quantisation to 8 bits with bounds per dimension. Jacob et al., CVPR 2018, section 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge, Lt

from cbir_bench.core.component import LATER
from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.levels import Bounds, fit_levels, nearest_levels, values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.quantizers.levels import LevelsCodebook

_N_LEVELS: Final = 255


@QUANTIZERS.register("int8")
@dataclass(frozen=True, kw_only=True)
class Int8Quantizer:
    """Rounds every value to one of 255 levels between the bounds of its dimension.

    Values beyond the bounds of the vectors it was fitted on are clipped to them.

    Attributes:
        bounds: "minmax" lays the levels from the smallest to the largest value of a dimension,
            "symmetric" about 0, so that 0 stays 0.
        clip_percent: share of the training values, in percent at either end, that the bounds leave
            out, 0 to below 50; a little keeps rare extremes from widening every step.
        n_training: vectors that the bounds are taken from, drawn by the seed; 0 for all.
        seed: of the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    bounds: Bounds = "minmax"
    clip_percent: Annotated[float, Ge(0), Lt(50)] = 0.0
    n_training: Annotated[int, Ge(0)] = field(default=0, metadata=LATER)
    seed: int = field(default=0, metadata=LATER)

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> LevelsCodebook:
        """Return the step and the middle of each dimension of ``(n, dim)`` vectors."""
        return fit_levels(
            sampled(training, self.n_training, self.seed),
            bounds=self.bounds,
            clip_percent=self.clip_percent,
            n_levels=_N_LEVELS,
        )

    def encode(self, codebook: LevelsCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, dim)`` int8 from -127 to 127."""
        return nearest_levels(codebook, vectors, _N_LEVELS).astype(np.int8)

    def decode(self, codebook: LevelsCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the float32 value of each level."""
        return values_of(codebook, codes, _N_LEVELS)

    def bytes_per_vector(self, dim: int) -> int:
        """Return 1 byte per dimension."""
        return dim

    def codebook_bytes(self, codebook: LevelsCodebook) -> int:
        """Return 8 bytes per dimension."""
        return array_bytes(codebook)
