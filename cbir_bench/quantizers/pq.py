"""Product quantisation. Jegou, Douze and Schmid, TPAMI 2011."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from annotated_types import Ge, Le

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.packing import packed_width
from cbir_bench.quantizers.product import (
    centroids_of,
    check_parts,
    learn_centroids,
    nearest_centroids,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class PqCodebook(NamedTuple):
    """``(m, 2 ** n_bits, dim / m)`` centroids of each part."""

    centroids: NDArray[np.float32]


@QUANTIZERS.register("pq")
@dataclass(frozen=True, kw_only=True)
class PqQuantizer:
    """Cuts vectors into parts and keeps the number of each part's nearest centroid; by faiss.

    Attributes:
        m: parts, at least 1; has to divide the dimension.
        n_bits: bits per part, 1 to 16: there are 2 ** n_bits centroids.
        n_iterations: rounds of k-means, at least 1.
        n_training: vectors that centroids are learnt from, drawn by the seed; 0 for all.
        seed: of k-means and the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("faiss",)

    m: Annotated[int, Ge(1)] = 16
    n_bits: Annotated[int, Ge(1), Le(16)] = 8
    n_iterations: Annotated[int, Ge(1)] = 25
    n_training: Annotated[int, Ge(0)] = 65_536
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Refuse parts that do not divide the dimension, and more centroids than vectors."""
        used = n if n is None else min(n, self.n_training or n)
        check_parts("pq", self.m, self.n_bits, n=used, dim=dim)

    def fit(self, training: Matrix) -> PqCodebook:
        """Return the centroids."""
        self.check(n=len(training), dim=training.shape[1])
        drawn = sampled(training, self.n_training, self.seed)
        centroids = learn_centroids(
            drawn, m=self.m, n_bits=self.n_bits, seed=self.seed, n_iterations=self.n_iterations
        )
        return PqCodebook(centroids)

    def encode(self, codebook: PqCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, ceil(m * n_bits / 8))`` bytes."""
        return nearest_centroids(codebook.centroids, vectors)

    def decode(self, codebook: PqCodebook, codes: NDArray[Any]) -> Matrix:
        """Return vectors made of centroids."""
        return centroids_of(codebook.centroids, codes)

    def bytes_per_vector(self, dim: int) -> int:  # noqa: ARG002
        """Return ``n_bits`` per part, rounded up to bytes."""
        return packed_width(self.m, self.n_bits)

    def codebook_bytes(self, codebook: PqCodebook) -> int:
        """Return 4 bytes per number of the centroids."""
        return array_bytes(codebook)
