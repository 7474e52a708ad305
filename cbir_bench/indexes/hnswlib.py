"""hnswlib: hierarchical navigable small world graphs. Malkov and Yashunin, TPAMI 2020."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_FILE: Final = "hnswlib.bin"


@INDEXES.register("hnswlib")
@dataclass(frozen=True, kw_only=True)
class HnswlibIndex:
    """A graph of ``m`` links per node; beam widths ``ef_*`` are counted in candidates.

    Attributes:
        m: links per node and level, 2 to 512; the lowest level has twice as many.
        ef_construction: candidates kept while a node is linked, at least 1; more links better, slower.
        ef_search: candidates kept during a search, at least k; the dial between speed and recall.
        seed: of the random levels; with one build thread the same seed gives the same graph.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("hnswlib",)
    EXACT: ClassVar[bool] = False

    m: Annotated[int, Ge(2), Le(512)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64
    seed: Annotated[int, Ge(0)] = 100

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam: hnswlib searches with the larger of both."""
        check_k("hnswlib", k, n_base)
        check_beam("hnswlib", "ef_search", self.ef_search, k)

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return an ``hnswlib.Index``; unit rows are searched by inner product, which is faster."""
        hnswlib = load("hnswlib")
        handle = hnswlib.Index(space=_space(space), dim=base.shape[1])
        handle.init_index(
            max_elements=len(base),
            M=self.m,
            ef_construction=self.ef_construction,
            random_seed=self.seed,
        )
        handle.add_items(base, num_threads=n_threads)
        return handle

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the beam and the threads of a batch."""
        handle.set_ef(self.ef_search)
        handle.set_num_threads(n_threads)

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``knn_query``, called by position: keywords cost pybind11 0.6 us."""
        search = handle.knn_query
        return lambda query: search(query, k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``knn_query``."""
        return partial(handle.knn_query, k=k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the labels, which are rows of the base."""
        labels, _ = raw
        return np.asarray(labels, np.int64)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file."""
        handle.save_index(str(folder / _FILE))

    def load(self, folder: Path, dim: int, space: Space) -> Any:
        """Return the index in that file."""
        handle = load("hnswlib").Index(space=_space(space), dim=dim)
        handle.load_index(str(folder / _FILE))
        return handle

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors, labels and links; a node has 1 / (m - 1) upper levels on average."""
        lowest = 4 * (2 * self.m + 1)
        upper = 4 * (self.m + 1) / (self.m - 1)
        return round(n_base * (4 * dim + 8 + lowest + upper + 4))


def _space(space: Space) -> str:
    """Return hnswlib's name; unit rows have the same order by inner product, which costs less."""
    return "l2" if space == "l2" else "ip"
