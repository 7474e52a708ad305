"""Scalable Vector Search: Vamana graphs over compressed vectors. Aguerrebere et al., VLDB 2023 and 2024."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space

_BITS: Final[dict[str, tuple[int, int]]] = {
    "lvq4": (4, 0),
    "lvq4x4": (4, 4),
    "lvq4x8": (4, 8),
    "lvq8": (8, 0),
    "lvq8x8": (8, 8),
}
"""Bits per dimension of the first code, and of the second, which holds what the first leaves out."""
_CONSTANTS_BYTES: Final = 8
"""Scale and offset of a locally adaptive code, and the centroid that it is relative to."""
_PARTS: Final = ("config", "graph", "data")


@INDEXES.register("svs")
@dataclass(frozen=True, kw_only=True)
class SvsIndex:
    """A Vamana graph of one level over plain vectors, or over locally adaptive codes (LVQ).

    Attributes:
        storage: "float32", "float16", or codes of so many bits per dimension: "lvq8", "lvq4", and with
            a second code of the remainder "lvq4x4", "lvq4x8", "lvq8x8". Codes need an Intel processor.
        max_degree: links per node, at least 1.
        build_window: candidates kept while a node is linked, at least max_degree.
        alpha: how much longer a detour may be before a link is cut, above 0: at least 1 in the space
            "l2", at most 1 in the others; 0 takes 1.2 or 0.95.
        max_candidates: candidates that links are chosen from; 0 takes three times the build window.
        prune_to: links kept when a node has too many, at most max_degree; 0 takes max_degree less 4.
        full_history: whether all nodes seen on the way are candidates, or only the window's.
        search_window: candidates kept during a search, at least k; the dial between speed and recall.
        search_capacity: candidates remembered beyond the window, which codes of two parts are scored
            again from; 0 takes the window.
        visited_set: whether nodes seen are remembered, which saves comparisons and costs a look-up.
        prefetch_lookahead: vectors fetched ahead, 0 for none.
        prefetch_step: vectors fetched at a time until so many are ahead, 0 for none.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset(
        {"search_window", "search_capacity", "visited_set", "prefetch_lookahead", "prefetch_step"}
    )
    EFFORT: ClassVar[frozenset[str]] = frozenset({"search_window"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("svs",)
    EXACT: ClassVar[bool] = False

    storage: Literal["float32", "float16", "lvq8", "lvq4", "lvq4x4", "lvq4x8", "lvq8x8"] = "float32"
    max_degree: Annotated[int, Ge(1)] = 32
    build_window: Annotated[int, Ge(1)] = 200
    alpha: Annotated[float, Ge(0)] = 0.0
    max_candidates: Annotated[int, Ge(0)] = 0
    prune_to: Annotated[int, Ge(0)] = 0
    full_history: bool = True
    search_window: Annotated[int, Ge(1)] = 64
    search_capacity: Annotated[int, Ge(0)] = 0
    visited_set: bool = False
    prefetch_lookahead: Annotated[int, Ge(0)] = 4
    prefetch_step: Annotated[int, Ge(0)] = 1

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse what the library ends the process for, raises late, or answers with made-up ids."""
        check_k("svs", k, n_base)
        check_beam("svs", "search_window", self.search_window, k)
        if 0 < self.search_capacity < self.search_window:
            raise SettingError(
                f"svs has search_capacity = {self.search_capacity} below search_window = "
                f"{self.search_window}. Set it to {self.search_window} or more, or to 0."
            )
        if self.prune_to > self.max_degree:
            raise SettingError(
                f"svs has prune_to = {self.prune_to} above max_degree = {self.max_degree}. "
                f"Set prune_to to {self.max_degree} or less, or to 0."
            )
        self._check_alpha(space)
        if self.storage in _BITS and not has_codes():
            raise SettingError(
                f'svs stores storage = "{self.storage}" on Intel processors only. '
                'Set storage = "float16" or "float32".'
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return an ``svs.Vamana``; codes are made from a file, which is a part of the price."""
        svs = load("svs")
        parameters, distance = self._parameters(space), _distance(space)
        if self.storage not in _BITS:
            vectors = base.astype(self.storage, copy=False)
            return svs.Vamana.build(parameters, vectors, distance, n_threads)
        with TemporaryDirectory() as name:
            path = str(Path(name) / "base.fvecs")
            svs.write_vecs(base, path)
            plain = svs.VectorDataLoader(path, svs.DataType.float32, dims=base.shape[1])
            primary, residual = _BITS[self.storage]
            loader = svs.LVQLoader(plain, primary=primary, residual=residual)
            return svs.Vamana.build(parameters, loader, distance, n_threads)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set every search option, and the threads of a batch."""
        svs = load("svs")
        capacity = self.search_capacity or self.search_window
        handle.search_parameters = svs.VamanaSearchParameters(
            svs.SearchBufferConfig(self.search_window, capacity),
            self.visited_set,
            self.prefetch_lookahead,
            self.prefetch_step,
        )
        handle.num_threads = n_threads

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(dim,)`` rows, which are no dearer to pass than ``(1, dim)`` views."""
        return list(queries)

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``search``, called by position."""
        search = handle.search
        return lambda query: search(query, k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``search``, which takes a matrix, too."""
        return self.single(handle, k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the ids without the zeros that fill up what was not found."""
        ids, distances = raw
        found = np.asarray(ids, np.int64)
        for row, line in zip(found, distances, strict=True):
            row[_n_found(row, line) :] = NO_ITEM
        return found

    def save(self, handle: Any, folder: Path) -> None:
        """Write three folders."""
        handle.save(*(str(folder / part) for part in _PARTS))

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return the index in those folders."""
        svs = load("svs")
        config, graph, data = (str(folder / part) for part in _PARTS)
        if self.storage in _BITS:
            loader = svs.LVQLoader(data)
        else:
            loader = svs.VectorDataLoader(data, getattr(svs.DataType, self.storage))
        return svs.Vamana(config, svs.GraphLoader(graph), loader, _distance(space))

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors or codes, and the links with their number."""
        if self.storage in _BITS:
            vector = sum(-(-dim * bits // 8) for bits in _BITS[self.storage]) + _CONSTANTS_BYTES
        else:
            vector = np.dtype(self.storage).itemsize * dim
        return n_base * (vector + 4 * (self.max_degree + 1))

    def _parameters(self, space: Space) -> Any:
        chosen = {
            "max_candidate_pool_size": self.max_candidates or 3 * self.build_window,
            "prune_to": self.prune_to or max(1, self.max_degree - 4),
        }
        return load("svs").VamanaBuildParameters(
            alpha=self.alpha or (1.2 if space == "l2" else 0.95),
            graph_max_degree=self.max_degree,
            window_size=self.build_window,
            use_full_search_history=self.full_history,
            **chosen,
        )

    def _check_alpha(self, space: Space) -> None:
        if self.alpha and (self.alpha < 1 if space == "l2" else self.alpha > 1):
            limit = "1 or more" if space == "l2" else "1 or less"
            raise SettingError(
                f'svs has alpha = {self.alpha} in the space "{space}". Set alpha to {limit}, or to 0.'
            )


def has_codes() -> bool:
    """Return whether SVS makes codes here: on other processors than Intel's it ends the process."""
    if platform.system() != "Linux":
        return False
    return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def _distance(space: Space) -> Any:
    kinds = load("svs").DistanceType
    return kinds.L2 if space == "l2" else kinds.MIP


def _n_found(ids: Ids, distances: NDArray[np.float32]) -> int:
    """Return how many of ``(k,)`` results come before the padding, which is id 0 at distance 0.

    The item 0 may be a result, too, so a last pair of that kind counts unless it is there already or
    stands out of order.
    """
    real = np.flatnonzero((ids != 0) | (distances != 0))
    n_found = int(real[-1]) + 1 if len(real) else 0
    n_zeros = len(ids) - n_found
    if n_zeros == 0 or 0 in ids[:n_found]:
        return n_found
    is_alone = n_zeros == 1 and (n_found == 0 or distances[0] >= distances[n_found - 1])
    is_tied = n_found == 0 or distances[n_found - 1] == 0
    return n_found + int(is_alone or is_tied)
