"""Product quantisation's two steps, by faiss: learning the centroids of parts, and finding the nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbir_bench.core.errors import MissingPackageError, SettingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


def load_faiss(name: str) -> Any:
    """Return the module faiss.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise MissingPackageError(f"The quantizer {name!r}", "faiss-cpu") from error
    return faiss


def check_parts(name: str, m: int, n_bits: int, *, n: int | None, dim: int | None) -> None:
    """Refuse parts that do not come out even, and more centroids than vectors.

    Raises:
        SettingError: if so.
    """
    if dim is not None and dim % m:
        fitting = [str(parts) for parts in range(1, dim + 1) if dim % parts == 0]
        raise SettingError(
            f"{name} cuts vectors into m = {m} parts, which does not divide their {dim} dimensions. "
            f"Set m to one of {', '.join(fitting)}."
        )
    if n is not None and n < 2**n_bits:
        raise SettingError(
            f"{name} learns 2 ** n_bits = {2**n_bits} centroids, but there are {n} vectors to learn from. "
            f"Set n_bits to {max(n, 1).bit_length() - 1} or less, or n_training to more."
        )


def learn_centroids(
    training: Matrix, *, m: int, n_bits: int, seed: int, n_iterations: int
) -> NDArray[np.float32]:
    """Return the ``(m, 2 ** n_bits, dim / m)`` centroids of the parts of vectors, by k-means."""
    faiss = load_faiss("pq")
    coder = faiss.ProductQuantizer(training.shape[1], m, n_bits)
    coder.cp.seed, coder.cp.niter = seed, n_iterations
    # How many vectors are enough is for the caller to say, and nothing is to be left out or printed.
    coder.cp.min_points_per_centroid, coder.cp.max_points_per_centroid = 1, len(training)
    coder.train(np.ascontiguousarray(training))
    centroids: NDArray[np.float32] = faiss.vector_to_array(coder.centroids)
    return centroids.reshape(m, 2**n_bits, -1)


def nearest_centroids(centroids: NDArray[np.float32], vectors: Matrix) -> NDArray[np.uint8]:
    """Return ``(n, ceil(m * n_bits / 8))`` bytes: the number of each part's nearest centroid."""
    codes: NDArray[np.uint8] = _coder(centroids).compute_codes(np.ascontiguousarray(vectors))
    return codes


def centroids_of(centroids: NDArray[np.float32], codes: NDArray[Any]) -> Matrix:
    """Return the ``(n, dim)`` vectors that are made of numbered centroids."""
    vectors: Matrix = _coder(centroids).decode(np.ascontiguousarray(codes))
    return vectors


def _coder(centroids: NDArray[np.float32]) -> Any:
    """Return faiss's product quantiser with these centroids."""
    faiss = load_faiss("pq")
    m, n_centroids, part = centroids.shape
    coder = faiss.ProductQuantizer(m * part, m, n_centroids.bit_length() - 1)
    faiss.copy_array_to_vector(centroids.ravel(), coder.centroids)
    return coder
