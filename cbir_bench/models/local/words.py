"""From descriptors to visual words: RootSIFT, principal components, and the nearest centroids.

RootSIFT: Arandjelovic and Zisserman, CVPR 2012. Several words for each descriptor: Philbin, Chum, Isard,
Sivic and Zisserman, "Lost in quantization", CVPR 2008.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import faiss
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.models.local.features import Descriptors

_UNIT_ROUNDOFF: Final = 2.0**-24


class Assigned(NamedTuple):
    """The words of descriptors.

    Attributes:
        words: ``(n, n_nearest)`` nearest first.
        weights: ``(n, n_nearest)`` what each counts; they add up to 1 for every descriptor.
    """

    words: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Projection:
    """Principal components of descriptors.

    Attributes:
        mean: ``(128,)``.
        directions: ``(128, dim)`` orthonormal columns.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]


def unit_descriptors(descriptors: Descriptors, *, root: bool) -> Matrix:
    """Return descriptors of length 1: the square roots of their shares (RootSIFT), or themselves, scaled.

    The inner product of two RootSIFT descriptors is the Hellinger kernel of the histograms that they are.
    """
    values = descriptors.astype(np.float32)
    if root:
        shares: Matrix = values / values.sum(axis=1, keepdims=True)
        return np.sqrt(shares)
    units: Matrix = values / np.sqrt(np.einsum("ij,ij->i", values, values))[:, None]
    return units


def projected(vectors: Matrix, projection: Projection | None) -> Matrix:
    """Return the principal components, or the vectors themselves where there is no projection."""
    if projection is None:
        return vectors
    return np.ascontiguousarray((vectors - projection.mean) @ projection.directions)


def assign(vectors: Matrix, centroids: Matrix, n_nearest: int, softness: float) -> Assigned:
    """Return the words of each descriptor: its nearest centroids, weighted by ``exp(-d^2 / (2 softness^2))``.

    Args:
        vectors: ``(n, dim)``.
        centroids: ``(n_words, dim)``.
        n_nearest: words of a descriptor; with 1, its weight is 1.
        softness: sigma of that Gaussian, in units of a descriptor's length.
    """
    words = nearest(vectors, centroids, n_nearest)
    squares = np.stack([_squared(vectors, centroids[of]) for of in words.T], axis=1)
    weights = np.exp((squares[:, :1] - squares) / (2 * softness**2))
    return Assigned(words, weights / weights.sum(axis=1, keepdims=True))


def nearest(vectors: Matrix, centroids: Matrix, n: int) -> NDArray[np.int64]:
    """Return ``(n_vectors, n)`` exact nearest centroids, nearest first, of equally near ones the first.

    Where float32 products cannot tell which is nearer, float64 differences do: the words do not depend on
    threads, or on which other descriptors are looked up together.
    """
    n_found = min(n + 1, len(centroids))
    with one_thread():
        squares, words = faiss.knn(vectors, centroids, n_found)
    found: NDArray[np.int64] = words.astype(np.int64)
    near = np.diff(squares, axis=1) <= _slack(vectors, centroids)
    for row in np.flatnonzero(near.any(axis=1)):
        exact = _squared(vectors[row], centroids)
        found[row] = np.argsort(exact, kind="stable")[:n_found]
    return found[:, :n]


def _squared(a: Matrix, b: Matrix) -> NDArray[np.float64]:
    """Return the squared distances of rows, as exact as float64 is."""
    apart = np.subtract(a, b, dtype=np.float64)
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", apart, apart)
    return squares


def _slack(vectors: Matrix, centroids: Matrix) -> float:
    """Return how far the difference of two squared distances may be off in float32.

    Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1.
    """
    longest = sum(np.sqrt(np.einsum("ij,ij->i", m, m).max(initial=0)) for m in (vectors, centroids))
    return float(2 * (vectors.shape[1] + 6) * _UNIT_ROUNDOFF * longest**2)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep faiss from starting threads of its own in this thread, where readers are many already."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
