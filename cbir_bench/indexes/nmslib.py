"""nmslib's method hnsw: hierarchical small world graphs. Malkov and Yashunin, TPAMI 2020."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Le

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import nmslib_calls
from cbir_bench.indexes.checks import check_beam, check_k

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.indexes.nmslib_calls import NmslibHandle

_SPACE: Final[dict[str, str]] = {"cosine": "cosinesimil", "ip": "negdotprod", "l2": "l2"}


@INDEXES.register("nmslib")
@dataclass(frozen=True, kw_only=True)
class NmslibIndex:
    """The method hnsw; with one build thread every fresh process makes the same graph.

    Attributes:
        m: links per node and level, 2 to 512; the lowest level has twice as many.
        ef_construction: candidates kept while a node is linked, at least 1.
        ef_search: candidates kept during a search, at least k; the dial between speed and recall.
        post: passes that improve the graph after it is built: 0 none, 1 cheap, 2 a second build.
        delaunay_type: how neighbours are chosen, 0 to 3; 2 is the heuristic of the paper.
        optimized: whether vectors and links lie together in memory, faster but stored twice.
        algorithm: how candidates are kept: "old" two heaps, "v1merge" one sorted array, "hybrid"
            the array for beams below 1,000 and the heaps above.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"ef_search", "algorithm"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = False

    m: Annotated[int, Ge(2), Le(512)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64
    post: Annotated[int, Ge(0), Le(2)] = 0
    delaunay_type: Annotated[int, Ge(0), Le(3)] = 2
    optimized: bool = True
    algorithm: Literal["hybrid", "v1merge", "old"] = "hybrid"

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds; its levels are drawn alike in every fresh process."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam: nmslib searches with the larger of both."""
        check_k("nmslib", k, n_base)
        check_beam("nmslib", "ef_search", self.ef_search, k)

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:
        """Return nmslib's index in a box."""
        options = {
            "M": self.m,
            "efConstruction": self.ef_construction,
            "post": self.post,
            "delaunay_type": self.delaunay_type,
            "skip_optimized_index": int(not self.optimized),
            "indexThreadQty": n_threads,
        }
        return nmslib_calls.built("hnsw", _SPACE[space], base, options)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the beam, the algorithm and the threads of a batch."""
        options = {"efSearch": self.ef_search, "algoType": self.algorithm}
        nmslib_calls.configured(handle, n_threads, options)

    prepare = staticmethod(nmslib_calls.prepare)
    single = staticmethod(nmslib_calls.single)
    batch = staticmethod(nmslib_calls.batch)
    unpack = staticmethod(nmslib_calls.unpack)
    save = staticmethod(nmslib_calls.save)

    def load(self, folder: Path, dim: int, space: Space) -> NmslibHandle:  # noqa: ARG002
        """Return the index that was saved."""
        return nmslib_calls.loaded("hnsw", _SPACE[space], folder)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors (twice if optimized) and links."""
        vectors = (2 if self.optimized else 1) * (4 * dim + nmslib_calls.OBJECT_BYTES)
        lowest = 4 * (2 * self.m + 1)
        upper = 4 * (self.m + 1) / (self.m - 1)
        return round(n_base * (vectors + lowest + upper))
