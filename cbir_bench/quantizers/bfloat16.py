"""Brain floating point: the upper half of float32, 8 significant bits. Kalamkar et al., 2019."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.registry import QUANTIZERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_LARGEST: Final = (2 - 2.0**-7) * 2.0**127


@QUANTIZERS.register("bfloat16")
@dataclass(frozen=True, kw_only=True)
class BFloat16Quantizer:
    """Rounds every value to 16 bits with the range of float32, a relative error of at most 2 ** -8."""

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> Any:  # noqa: ARG002
        """Return None: nothing is learned."""
        return None

    def encode(self, codebook: Any, vectors: Matrix) -> NDArray[Any]:  # noqa: ARG002
        """Return ``(n, dim)`` uint16: the bits, rounded to the nearest and on a tie to the even.

        Raises:
            InvalidArrayError: if a value is too large for it.
        """
        largest = float(np.abs(vectors).max())
        if largest > _LARGEST:
            raise InvalidArrayError(
                f"The vectors hold the value {largest:g}, but bfloat16 ends at {_LARGEST:g}. "
                'Use the space "cosine", whose vectors have length 1.'
            )
        bits = np.ascontiguousarray(vectors).view(np.uint32)
        last = (bits >> np.uint32(16)) & np.uint32(1)
        rounded: NDArray[np.uint32] = (bits + np.uint32(0x7FFF) + last) >> np.uint32(16)
        return rounded.astype(np.uint16)

    def decode(self, codebook: Any, codes: NDArray[Any]) -> Matrix:  # noqa: ARG002
        """Return the values as float32, unchanged."""
        return (codes.astype(np.uint32) << np.uint32(16)).view(np.float32)

    def bytes_per_vector(self, dim: int) -> int:
        """Return 2 bytes per dimension."""
        return 2 * dim

    def codebook_bytes(self, codebook: Any) -> int:  # noqa: ARG002
        """Return 0."""
        return 0
