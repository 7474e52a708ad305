"""Exact search: a blocked float32 matrix product, and the k largest of every row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from cbir_bench.core.arrays import SPACES
from cbir_bench.core.component import LATER
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.exact_selection import largest
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space

_BLOCK_BYTES: Final = 16 * 2**20
"""Memory of one block of similarities, one per thread."""
_QUERIES_PER_BLOCK: Final = 256
"""Enough for the matrix product to run at full speed."""


@dataclass(kw_only=True, eq=False)
class ExactHandle:
    """The index's own copy of the base, and the threads that search it.

    Attributes:
        vectors: ``(n_base, dim)``; in the space "l2" their mean is subtracted, which changes no
            distance and keeps float32 exact where all vectors lie far from the origin.
        centre: ``(dim,)`` what was subtracted; None in the other spaces.
        penalty: ``(n_base,)`` half the squared lengths; None in the other spaces.
        n_threads: that share the queries of a batch.
    """

    vectors: Matrix
    centre: NDArray[np.float32] | None = None
    penalty: NDArray[np.float32] | None = None
    n_threads: int = 1

    def search(self, queries: Matrix, k: int) -> Ids:
        """Return the ``(n_queries, k)`` nearest ids; equal similarities by ascending id."""
        share = -(-len(queries) // self.n_threads)
        step = max(1, min(share, _QUERIES_PER_BLOCK))
        blocks = [queries[start : start + step] for start in range(0, len(queries), step)]
        if len(blocks) == 1:
            return self._search_block(blocks[0], k)
        with ThreadPoolExecutor(self.n_threads) as threads:
            return np.concatenate(list(threads.map(partial(self._search_block, k=k), blocks)))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays that there are, by their names."""
        named = {"vectors": self.vectors, "centre": self.centre, "penalty": self.penalty}
        return {name: values for name, values in named.items() if values is not None}

    def _search_block(self, queries: Matrix, k: int) -> Ids:
        if self.centre is not None:
            queries = np.subtract(queries, self.centre, dtype=np.float32)
        step = max(1, _BLOCK_BYTES // (4 * len(queries)))
        return largest(
            partial(self._similarities, queries), len(queries), len(self.vectors), k, step
        )

    def _similarities(self, queries: Matrix, part: slice) -> Matrix:
        similarities: Matrix = queries @ self.vectors[part].T
        if self.penalty is not None:
            similarities -= self.penalty[part]
        return similarities


@INDEXES.register("exact")
@dataclass(frozen=True, kw_only=True)
class ExactIndex:
    """Compares the query with every vector; the reference that ``knn_recall@k`` is measured against.

    Attributes:
        device: "cpu" (NumPy), "cuda" (a GPU, through torch, in full float32), or "auto" for the GPU
            where there is one. The vectors and what is measured of memory lie on that device.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset(SPACES)
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset()
    EFFORT: ClassVar[frozenset[str]] = frozenset()
    REQUIRES: ClassVar[tuple[str, ...]] = ("threadpoolctl",)
    EXACT: ClassVar[bool] = True

    device: Literal["cpu", "cuda", "auto"] = field(default="cpu", metadata=LATER)

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: threads share whole queries, so that no sum changes its order."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base, and a GPU that is not there."""
        check_k("exact", k, n_base)
        # Also "auto" imports torch here, if at all, and not while the build is timed.
        if self.device == "cuda" and not self._on_gpu():
            raise SettingError(
                'exact has device = "cuda" but torch finds no GPU on this machine. '
                'Set device = "cpu", or "auto" to use a GPU where there is one.'
            )
        self._on_gpu()

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a copy of the base with what the space needs."""
        handle = _handle(base, space, n_threads)
        return self._placed(handle)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the threads that share a batch; each multiplies by itself."""
        load("threadpoolctl").threadpool_limits(1, user_api="blas")
        handle.n_threads = n_threads

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
        """Write the vectors; in the space "l2" also their centre and half squared lengths."""
        for name, values in handle.arrays().items():
            np.save(folder / f"{name}.npy", values)

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return what ``save`` wrote, on this index's device."""
        saved = {file.stem: np.load(file) for file in folder.glob("*.npy")}
        return self._placed(ExactHandle(**saved))

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return 4 bytes per dimension and item."""
        return 4 * n_base * dim

    def _on_gpu(self) -> bool:
        if self.device == "cpu":
            return False
        from cbir_bench.indexes.exact_on_gpu import has_gpu

        return has_gpu(required=self.device == "cuda")

    def _placed(self, handle: ExactHandle) -> Any:
        """Return the handle where it is to be searched."""
        if not self._on_gpu():
            return handle
        from cbir_bench.indexes.exact_on_gpu import moved

        return moved(handle.arrays(), "cuda")


def _handle(base: Matrix, space: Space, n_threads: int) -> ExactHandle:
    if space != "l2":
        return ExactHandle(vectors=np.array(base), n_threads=n_threads)
    centre = base.mean(axis=0, dtype=np.float64).astype(np.float32)
    vectors = base - centre
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    penalty = (squares / 2).astype(np.float32)
    return ExactHandle(vectors=vectors, centre=centre, penalty=penalty, n_threads=n_threads)
