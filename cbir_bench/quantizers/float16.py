"""Half precision: IEEE 754 binary16, 11 significant bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.registry import QUANTIZERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_LARGEST: Final = float(np.finfo(np.float16).max)


@QUANTIZERS.register("float16")
@dataclass(frozen=True, kw_only=True)
class Float16Quantizer:
    """Rounds every value to 16 bits, a relative error of at most 2 ** -11 above 6e-5."""

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> Any:  # noqa: ARG002
        """Return None: nothing is learned."""
        return None

    def encode(self, codebook: Any, vectors: Matrix) -> NDArray[Any]:  # noqa: ARG002
        """Return ``(n, dim)`` float16.

        Raises:
            InvalidArrayError: if a value is too large for 16 bits.
        """
        largest = float(np.abs(vectors).max())
        if largest > _LARGEST:
            raise InvalidArrayError(
                f"The vectors hold the value {largest:g}, but float16 ends at {_LARGEST:g}. "
                'Use the space "cosine", whose vectors have length 1, or the quantizer "int8".'
            )
        return vectors.astype(np.float16)

    def decode(self, codebook: Any, codes: NDArray[Any]) -> Matrix:  # noqa: ARG002
        """Return the values as float32, unchanged."""
        return codes.astype(np.float32)

    def bytes_per_vector(self, dim: int) -> int:
        """Return 2 bytes per dimension."""
        return 2 * dim

    def codebook_bytes(self, codebook: Any) -> int:  # noqa: ARG002
        """Return 0."""
        return 0
