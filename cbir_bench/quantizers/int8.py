"""Scalar quantisation to 8 bits with bounds per dimension. Jacob et al., CVPR 2018, section 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Lt

from cbir_bench.core.registry import QUANTIZERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class Int8Codebook(NamedTuple):
    """``value = code * step + middle``, each ``(dim,)`` float32."""

    step: NDArray[np.float32]
    middle: NDArray[np.float32]


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
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    bounds: Literal["minmax", "symmetric"] = "minmax"
    clip_percent: Annotated[float, Ge(0), Lt(50)] = 0.0

    def fit(self, training: Matrix) -> Int8Codebook:
        """Return the step and the middle of each dimension of ``(n, dim)`` vectors."""
        low, high = np.percentile(training, [self.clip_percent, 100 - self.clip_percent], axis=0)
        if self.bounds == "symmetric":
            high = np.maximum(np.abs(low), np.abs(high))
            low = -high
        step = (high - low) / 254
        # A dimension that never varies needs no step; any will do, since its code is always 0.
        step[step == 0] = 1
        return Int8Codebook(step.astype(np.float32), ((low + high) / 2).astype(np.float32))

    def encode(self, codebook: Int8Codebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, dim)`` int8 from -127 to 127."""
        levels = np.rint((vectors - codebook.middle) / codebook.step)
        codes: NDArray[np.int8] = np.clip(levels, -127, 127).astype(np.int8)
        return codes

    def decode(self, codebook: Int8Codebook, codes: NDArray[Any]) -> Matrix:
        """Return the float32 value of each level."""
        decoded: Matrix = codes.astype(np.float32) * codebook.step + codebook.middle
        return decoded

    def bytes_per_vector(self, dim: int) -> int:
        """Return 1 byte per dimension."""
        return dim
