"""The border of the stage ``quantizers``: codecs that belong to no index library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class Quantizer(Protocol):
    """A frozen dataclass of options, registered in ``QUANTIZERS``; ``fit`` gives its codebook.

    The same options and the same vectors give the same codebook and the same codes.
    """

    REQUIRES: ClassVar[tuple[str, ...]]

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Refuse options that cannot work, before there are any vectors.

        Args:
            n: how many vectors it will be fitted on; None where that is not known yet.
            dim: how many dimensions they will have; None where that is not known yet.

        Raises:
            SettingError: if the codebook cannot be learnt from so many vectors, or codes cannot be made
                of so many dimensions.
        """
        ...

    def fit(self, training: Matrix) -> Any:
        """Return the codebook learned from vectors (None where nothing is learned).

        Args:
            training: ``(n, dim)``: the base that will be encoded, as a deployed index has no other.

        Raises:
            SettingError: as ``check`` does.
        """
        ...

    def encode(self, codebook: Any, vectors: Matrix) -> NDArray[Any]:
        """Return the ``(n, width)`` codes, packed: they take ``n * bytes_per_vector(dim)`` bytes."""
        ...

    def decode(self, codebook: Any, codes: NDArray[Any]) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors that codes stand for, in the space of the originals."""
        ...

    def bytes_per_vector(self, dim: int) -> int:
        """Return the bytes of one code, the codebook not counted."""
        ...

    def codebook_bytes(self, codebook: Any) -> int:
        """Return the bytes that are kept once, however many vectors there are."""
        ...
