"""Principal components. Pearson, "On lines and planes of closest fit", 1901."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple

import numpy as np
from annotated_types import Ge

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.storage import Store, check_dims, storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_BLOCK: Final = 8192
"""Vectors held as float64 at once."""


class PcaCodebook(NamedTuple):
    """``value = coordinates @ components + mean``.

    Attributes:
        mean: ``(dim,)`` of the vectors it was fitted on.
        components: ``(dims, dim)`` orthonormal, largest variance first; the largest number of each by
            magnitude is positive.
        stored: the codebook of the coordinates.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    stored: Any


@QUANTIZERS.register("pca")
@dataclass(frozen=True, kw_only=True)
class PcaQuantizer:
    """Keeps the coordinates along the directions in which the vectors vary most.

    Attributes:
        dims: how many coordinates stay, at least 1.
        store: how they are stored: "float32", "float16" or "int8".
        n_training: vectors that the directions are learnt from, drawn by the seed; 0 for all.
        seed: of the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    dims: Annotated[int, Ge(1)] = 64
    store: Store = "float32"
    n_training: Annotated[int, Ge(0)] = 100_000
    seed: int = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Refuse to keep more dimensions than there are, or than so many vectors vary in."""
        check_dims("pca", self.dims, dim)
        if n is None:
            return
        used = min(n, self.n_training or n)
        if self.dims > used - 1:
            raise SettingError(
                f"pca keeps dims = {self.dims}, but {used} vectors vary in {used - 1} directions at most. "
                "Set dims to fewer, or n_training to more."
            )

    def fit(self, training: Matrix) -> PcaCodebook:
        """Return the directions, and the codebook of all coordinates along them."""
        self.check(n=len(training), dim=training.shape[1])
        drawn = sampled(training, self.n_training, self.seed)
        mean = drawn.mean(axis=0, dtype=np.float64)
        components = _components(drawn, mean, self.dims).astype(np.float32)
        codebook = PcaCodebook(mean.astype(np.float32), components, None)
        stored = storage(self.store).fit(_coordinates(codebook, training))
        return codebook._replace(stored=stored)

    def encode(self, codebook: PcaCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, dims)`` stored coordinates."""
        return storage(self.store).encode(codebook.stored, _coordinates(codebook, vectors))

    def decode(self, codebook: PcaCodebook, codes: NDArray[Any]) -> Matrix:
        """Return the points of the plane that coordinates stand for."""
        coordinates = storage(self.store).decode(codebook.stored, codes)
        decoded: Matrix = np.matmul(coordinates, codebook.components) + codebook.mean
        return decoded

    def bytes_per_vector(self, dim: int) -> int:  # noqa: ARG002
        """Return what ``dims`` stored numbers take."""
        return storage(self.store).bytes_per_vector(self.dims)

    def codebook_bytes(self, codebook: PcaCodebook) -> int:
        """Return 4 bytes per number of the mean and the directions, and those of the storage."""
        stored = storage(self.store).codebook_bytes(codebook.stored)
        return array_bytes((codebook.mean, codebook.components)) + stored


def _coordinates(codebook: PcaCodebook, vectors: Matrix) -> Matrix:
    coordinates: Matrix = np.matmul(vectors - codebook.mean, codebook.components.T)
    return coordinates


def _components(vectors: Matrix, mean: NDArray[np.float64], dims: int) -> NDArray[np.float64]:
    """Return the first eigenvectors of the covariance as rows, from float64 sums."""
    products = np.zeros((len(mean), len(mean)))
    for start in range(0, len(vectors), _BLOCK):
        centred = vectors[start : start + _BLOCK] - mean
        products += centred.T @ centred
    _, columns = np.linalg.eigh(products)
    components = columns[:, ::-1].T[:dims]
    largest = np.argmax(np.abs(components), axis=1, keepdims=True)
    signs = np.sign(np.take_along_axis(components, largest, axis=1))
    return np.ascontiguousarray(components * signs)
