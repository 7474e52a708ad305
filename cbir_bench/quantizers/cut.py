"""The first dimensions alone. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.storage import Store, check_dims, storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class CutCodebook(NamedTuple):
    """How many dimensions there were, and the codebook of those that stay."""

    dim: int
    stored: Any


@QUANTIZERS.register("cut")
@dataclass(frozen=True, kw_only=True)
class CutQuantizer:
    """Keeps the first dimensions, for models that were trained so that these come first; others become 0.

    For any other model it is a floor that "pca" of as many dimensions should beat.

    Attributes:
        dims: how many dimensions stay, at least 1.
        store: how they are stored: "float32", "float16" or "int8".
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    dims: Annotated[int, Ge(1)] = 64
    store: Store = "float32"

    def check(self, *, n: int | None, dim: int | None) -> None:  # noqa: ARG002
        """Refuse to keep more dimensions than there are."""
        check_dims("cut", self.dims, dim)

    def fit(self, training: Matrix) -> CutCodebook:
        """Return the codebook of the storage."""
        dim = training.shape[1]
        self.check(n=len(training), dim=dim)
        return CutCodebook(dim, storage(self.store).fit(training[:, : self.dims]))

    def encode(self, codebook: CutCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, dims)`` stored numbers."""
        first = np.ascontiguousarray(vectors[:, : self.dims])
        return storage(self.store).encode(codebook.stored, first)

    def decode(self, codebook: CutCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the first dimensions, and 0 in all others."""
        decoded = np.zeros((len(codes), codebook.dim), np.float32)
        decoded[:, : self.dims] = storage(self.store).decode(codebook.stored, codes)
        return decoded

    def bytes_per_vector(self, dim: int) -> int:  # noqa: ARG002
        """Return what ``dims`` stored numbers take."""
        return storage(self.store).bytes_per_vector(self.dims)

    def codebook_bytes(self, codebook: CutCodebook) -> int:
        """Return those of the storage."""
        return storage(self.store).codebook_bytes(codebook.stored)
