"""Exact search: a blocked float32 matrix product, and the k largest of every row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from cbir_bench.core.arrays import SPACES
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space

_BLOCK_BYTES: Final = 64 * 2**20
"""Memory of one block of similarities."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactHandle:
    """The index's own copy of the base.

    Attributes:
        vectors: ``(n_base, dim)``; in the space "l2" their mean is subtracted, which changes no
            distance and keeps float32 exact where all vectors lie far from the origin.
        centre: ``(dim,)`` what was subtracted; None in the other spaces.
        penalty: ``(n_base,)`` half the squared lengths; None in the other spaces.
    """

    vectors: Matrix
    centre: NDArray[np.float32] | None = None
    penalty: NDArray[np.float32] | None = None

    def search(self, queries: Matrix, k: int) -> Ids:
        """Return the ``(n_queries, k)`` nearest ids; equal similarities by ascending id."""
        n_base = len(self.vectors)
        ids = np.empty((len(queries), k), np.int64)
        step = max(1, _BLOCK_BYTES // (4 * n_base))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            for row, similarities in enumerate(self._similarities(block), start):
                ids[row] = _largest(similarities, k)
        return ids

    def _similarities(self, queries: Matrix) -> Matrix:
        if self.centre is None or self.penalty is None:
            return queries @ self.vectors.T
        centred: Matrix = np.subtract(queries, self.centre, dtype=np.float32)
        similarities: Matrix = np.matmul(centred, self.vectors.T)
        similarities -= self.penalty
        return similarities


@INDEXES.register("exact")
@dataclass(frozen=True, kw_only=True)
class ExactIndex:
    """Compares the query with every vector; the reference that ``knn_recall@k`` is measured against."""

    SPACES: ClassVar[frozenset[Space]] = frozenset(SPACES)
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset()
    REQUIRES: ClassVar[tuple[str, ...]] = ("threadpoolctl",)
    EXACT: ClassVar[bool] = True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base."""
        check_k("exact", k, n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> ExactHandle:  # noqa: ARG002
        """Return a copy of the base with what the space needs."""
        if space != "l2":
            return ExactHandle(vectors=np.array(base))
        centre = base.mean(axis=0, dtype=np.float64).astype(np.float32)
        vectors = base - centre
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        return ExactHandle(vectors=vectors, centre=centre, penalty=(squares / 2).astype(np.float32))

    def configure(self, handle: Any, n_threads: int) -> None:  # noqa: ARG002
        """Set the threads of NumPy's matrix product."""
        load("threadpoolctl").threadpool_limits(n_threads, user_api="blas")

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return the search of a matrix, which one query is too."""
        return partial(handle.search, k=k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return the search of a matrix."""
        return partial(handle.search, k=k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the ids as they are."""
        ids: Ids = raw
        return ids

    def save(self, handle: Any, folder: Path) -> None:
        """Write the vectors, and the half squared lengths if there are any."""
        np.save(folder / "vectors.npy", handle.vectors)
        if handle.penalty is not None:
            np.save(folder / "penalty.npy", handle.penalty)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return 4 bytes per dimension and item."""
        return 4 * n_base * dim


def _largest(similarities: NDArray[np.float32], k: int) -> Ids:
    """Return the ids of the ``k`` largest of ``(n_base,)``, best first, ties by ascending id."""
    n_base = len(similarities)
    threshold = np.partition(similarities, n_base - k)[n_base - k]
    # Ascending ids, so that a stable sort by similarity leaves ties in the order of their ids.
    candidates = np.flatnonzero(similarities >= threshold)
    best: Ids = candidates[np.argsort(-similarities[candidates], kind="stable")[:k]]
    return best
