"""The border of the stage ``quantizers``: codecs that belong to no index library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class Quantizer(Protocol):
    """A frozen dataclass of options, registered in ``QUANTIZERS``; ``fit`` gives its codebook."""

    REQUIRES: ClassVar[tuple[str, ...]]

    def fit(self, training: Matrix) -> Any:
        """Return the codebook learned from vectors (None where nothing is learned)."""
        ...

    def encode(self, codebook: Any, vectors: Matrix) -> NDArray[Any]:
        """Return the ``(n, width)`` codes."""
        ...

    def decode(self, codebook: Any, codes: NDArray[Any]) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors that codes stand for."""
        ...

    def bytes_per_vector(self, dim: int) -> int:
        """Return the bytes of one code, the codebook not counted."""
        ...
