"""No quantisation: float32 vectors as the model gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cbir_bench.core.registry import QUANTIZERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


@QUANTIZERS.register("none")
@dataclass(frozen=True, kw_only=True)
class NoQuantizer:
    """Keeps the vectors as they are."""

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Accept everything."""

    def fit(self, training: Matrix) -> Any:  # noqa: ARG002
        """Return None: nothing is learned."""
        return None

    def encode(self, codebook: Any, vectors: Matrix) -> NDArray[Any]:  # noqa: ARG002
        """Return the vectors."""
        return vectors

    def decode(self, codebook: Any, codes: NDArray[Any]) -> Matrix:  # noqa: ARG002
        """Return the vectors."""
        return codes

    def bytes_per_vector(self, dim: int) -> int:
        """Return 4 bytes per dimension."""
        return 4 * dim

    def codebook_bytes(self, codebook: Any) -> int:  # noqa: ARG002
        """Return 0."""
        return 0
