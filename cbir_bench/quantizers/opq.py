"""Optimised product quantisation. Ge, He, Ke and Sun, CVPR 2013."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.registry import QUANTIZERS
from cbir_bench.quantizers.codebooks import array_bytes, sampled
from cbir_bench.quantizers.packing import packed_width
from cbir_bench.quantizers.product import (
    centroids_of,
    check_parts,
    learn_centroids,
    load_faiss,
    nearest_centroids,
)
from cbir_bench.quantizers.rotation import random_rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class OpqCodebook(NamedTuple):
    """A rotation and the centroids of what it gives.

    Attributes:
        rotation: ``(dim, dim)`` orthonormal; ``vectors @ rotation`` is what is cut into parts.
        centroids: ``(m, 2 ** n_bits, dim / m)``.
    """

    rotation: NDArray[np.float32]
    centroids: NDArray[np.float32]


@QUANTIZERS.register("opq")
@dataclass(frozen=True, kw_only=True)
class OpqQuantizer:
    """Product quantisation after a rotation that is learnt to make its error small; by faiss.

    Attributes:
        m: parts, at least 1; has to divide the dimension.
        n_bits: bits per part, 1 to 8: there are 2 ** n_bits centroids.
        n_rounds: how often rotation and centroids are learnt in turn, at least 1; takes most of the time.
        n_iterations: rounds of k-means for the final centroids, at least 1.
        n_training: vectors that all is learnt from, drawn by the seed; 0 for all.
        seed: of the first rotation, k-means and the draw.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("faiss",)

    m: Annotated[int, Ge(1)] = 16
    n_bits: Annotated[int, Ge(1), Le(8)] = 8
    n_rounds: Annotated[int, Ge(1)] = 20
    n_iterations: Annotated[int, Ge(1)] = 25
    n_training: Annotated[int, Ge(0)] = 16_384
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0

    def check(self, *, n: int | None, dim: int | None) -> None:
        """Refuse parts that do not divide the dimension, and more centroids than vectors."""
        used = n if n is None else min(n, self.n_training or n)
        check_parts("opq", self.m, self.n_bits, n=used, dim=dim)

    def fit(self, training: Matrix) -> OpqCodebook:
        """Return the rotation and the centroids."""
        self.check(n=len(training), dim=training.shape[1])
        drawn = sampled(training, self.n_training, self.seed)
        rotation = self._learn_rotation(drawn)
        centroids = learn_centroids(
            np.matmul(drawn, rotation),
            m=self.m,
            n_bits=self.n_bits,
            seed=self.seed,
            n_iterations=self.n_iterations,
        )
        return OpqCodebook(rotation, centroids)

    def encode(self, codebook: OpqCodebook, vectors: Matrix) -> NDArray[Any]:
        """Return ``(n, ceil(m * n_bits / 8))`` bytes."""
        return nearest_centroids(codebook.centroids, np.matmul(vectors, codebook.rotation))

    def decode(self, codebook: OpqCodebook, codes: NDArray[Any]) -> Matrix:
        """Return vectors made of centroids, rotated back."""
        decoded: Matrix = np.matmul(centroids_of(codebook.centroids, codes), codebook.rotation.T)
        return decoded

    def bytes_per_vector(self, dim: int) -> int:  # noqa: ARG002
        """Return ``n_bits`` per part, rounded up to bytes."""
        return packed_width(self.m, self.n_bits)

    def codebook_bytes(self, codebook: OpqCodebook) -> int:
        """Return 4 bytes per number of the rotation and the centroids."""
        return array_bytes(codebook)

    def _learn_rotation(self, training: Matrix) -> NDArray[np.float32]:
        faiss = load_faiss("opq")
        dim = training.shape[1]
        coder = faiss.ProductQuantizer(dim, self.m, self.n_bits)
        coder.cp.min_points_per_centroid, coder.cp.max_points_per_centroid = 1, len(training)
        learner = faiss.OPQMatrix(dim, self.m)
        learner.niter, learner.max_train_points, learner.pq = (
            self.n_rounds,
            len(training),
            coder,
        )
        faiss.copy_array_to_vector(random_rotation(dim, self.seed).ravel(), learner.A)
        learner.train(np.ascontiguousarray(training))
        rotation: NDArray[np.float32] = faiss.vector_to_array(learner.A)
        return np.ascontiguousarray(rotation.reshape(dim, dim).T)
