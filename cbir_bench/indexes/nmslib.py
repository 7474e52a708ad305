"""nmslib: its graph method hnsw. Malkov and Yashunin, TPAMI 2020; Boytsov and Naidan, SISAP 2013."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Le

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.checks import check_beam, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_SPACE: Final[dict[str, str]] = {"cosine": "cosinesimil", "ip": "negdotprod", "l2": "l2"}
_OBJECT_BYTES: Final = 16
"""What nmslib stores before each vector: id, label and length."""


@dataclass(kw_only=True, eq=False)
class NmslibHandle:
    """nmslib's index, and the threads of a batch, which it wants to be told with every call."""

    index: Any
    n_threads: int


@INDEXES.register("nmslib")
@dataclass(frozen=True, kw_only=True)
class NmslibIndex:
    """The method hnsw; with one build thread the same settings give the same graph.

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
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = False

    m: Annotated[int, Ge(2), Le(512)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64
    post: Annotated[int, Ge(0), Le(2)] = 0
    delaunay_type: Annotated[int, Ge(0), Le(3)] = 2
    optimized: bool = True
    algorithm: Literal["hybrid", "v1merge", "old"] = "hybrid"

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam: nmslib searches with the larger of both."""
        check_k("nmslib", k, n_base)
        check_beam("nmslib", "ef_search", self.ef_search, k)

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:
        """Return nmslib's index in a box."""
        index = load("nmslib").init(method="hnsw", space=_SPACE[space])
        index.addDataPointBatch(base)
        options = {
            "M": self.m,
            "efConstruction": self.ef_construction,
            "post": self.post,
            "delaunay_type": self.delaunay_type,
            "skip_optimized_index": int(not self.optimized),
            "indexThreadQty": n_threads,
        }
        index.createIndex(options)
        return NmslibHandle(index=index, n_threads=n_threads)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the beam, the algorithm and the threads of a batch."""
        handle.index.setQueryTimeParams({"efSearch": self.ef_search, "algoType": self.algorithm})
        handle.n_threads = n_threads

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(dim,)`` rows."""
        return list(queries)

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``knnQuery``, called by position: keywords cost pybind11 0.4 us."""
        search = handle.index.knnQuery
        return lambda query: search(query, k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``knnQueryBatch``."""
        return partial(handle.index.knnQueryBatch, k=k, num_threads=handle.n_threads)

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return the ids of one ``(ids, distances)`` or of a list of them."""
        answers = raw if isinstance(raw, list) else [raw]
        return padded([ids for ids, _ in answers], k)

    def save(self, handle: Any, folder: Path) -> None:
        """Write the graph, and the vectors beside it, without which it cannot be searched."""
        handle.index.saveIndex(str(folder / "nmslib.bin"), save_data=True)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors (twice if optimized) and links."""
        vectors = (2 if self.optimized else 1) * (4 * dim + _OBJECT_BYTES)
        lowest = 4 * (2 * self.m + 1)
        upper = 4 * (self.m + 1) / (self.m - 1)
        return round(n_base * (vectors + lowest + upper))
