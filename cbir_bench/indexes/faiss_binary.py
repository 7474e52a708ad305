"""faiss's binary indexes: one bit per dimension, compared by Hamming distance. Norouzi et al., CVPR 2012."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_idle, check_k
from cbir_bench.indexes.faiss_bytes import binary_bytes
from cbir_bench.indexes.faiss_structure import reason
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space

_KNOWN: Final = re.compile(r"BFlat|BIVF\d+(_HNSW\d+)?|BHNSW\d+|BHash\d+(x\d+)?")
"""faiss itself reads "BIVF16,PQ8" as "BIVF16"."""
_NEEDS: Final = {
    "nprobe": "BIVF",
    "max_codes": "BIVF",
    "train_iterations": "BIVF",
    "train_points_per_list": "BIVF",
    "seed": "BIVF",
    "quantizer_ef_search": "BIVF..._HNSW",
    "ef_search": "BHNSW",
    "ef_construction": "HNSW",
    "n_flips": "BHash",
}
"""The part of a factory string without which an option does nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BinaryHandle:
    """The library's index, and what vectors are compared with to become bits.

    Attributes:
        index: a ``faiss.IndexBinary``.
        centre: ``(dim,)`` a bit is set where a vector is larger.
    """

    index: Any
    centre: NDArray[np.float32]

    def codes(self, vectors: Matrix) -> NDArray[np.uint8]:
        """Return ``(n, n_bytes)``; what is missing to whole bytes is 0 in every code."""
        return np.packbits(vectors > self.centre, axis=1)


@INDEXES.register("faiss-binary")
@dataclass(frozen=True, kw_only=True)
class FaissBinaryIndex:
    """Any index that ``faiss.index_binary_factory`` makes, over the signs of the dimensions.

    Attributes:
        factory: faiss's factory string: "BFlat", "BIVF256", "BIVF4096_HNSW32", "BHNSW32", "BHash16"
            (one table by 16 bits), "BHash4x16" (four tables).
        centre: what a dimension has to exceed for its bit to be set: its "mean" over the base, or
            "zero".
        nprobe: lists of an inverted file that are searched, at least 1.
        max_codes: codes compared per query before the search of the lists ends; 0 for no limit.
        quantizer_ef_search: beam of the graph that finds the lists, for "BIVF..._HNSW...".
        ef_search: beam of a graph search in candidates, at least k.
        ef_construction: beam while a graph is built.
        n_flips: bits in which the bucket of a hash table may differ from the query's.
        train_iterations: iterations of the k-means that makes the lists, at least 1.
        train_points_per_list: vectors per list that this k-means sees at most, at least 1.
        seed: of this k-means.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine"})
    EFFORT: ClassVar[frozenset[str]] = frozenset(
        {"nprobe", "quantizer_ef_search", "ef_search", "n_flips"}
    )
    SEARCH_PARAMS: ClassVar[frozenset[str]] = EFFORT | {"max_codes"}
    REQUIRES: ClassVar[tuple[str, ...]] = ("faiss",)
    EXACT: ClassVar[bool] = False

    factory: str = "BFlat"
    centre: Literal["mean", "zero"] = "mean"
    nprobe: Annotated[int, Ge(1)] = 8
    max_codes: Annotated[int, Ge(0)] = 0
    quantizer_ef_search: Annotated[int, Ge(1)] = 64
    ef_search: Annotated[int, Ge(1)] = 64
    ef_construction: Annotated[int, Ge(1)] = 200
    n_flips: Annotated[int, Ge(0)] = 0
    train_iterations: Annotated[int, Ge(1)] = 10
    train_points_per_list: Annotated[int, Ge(1)] = 256
    seed: Annotated[int, Ge(0)] = 1234

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: faiss's k-means and graphs depend on their seeds alone, whatever the threads."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:
        """Refuse strings that faiss does not know, more lists than items, beams below ``k``."""
        check_k("faiss-binary", k, n_base)
        if not _KNOWN.fullmatch(self.factory):
            raise SettingError(
                f"faiss knows no binary index factory = {self.factory!r}. "
                'Use "BFlat", "BIVF256", "BIVF256_HNSW32", "BHNSW32", "BHash16" or "BHash4x16".'
            )
        idle = {o: f"{part} in the factory string" for o, part in _NEEDS.items()}
        check_idle("faiss-binary", self, {o: part for o, part in idle.items() if not self._has(o)})
        if self._has("ef_search"):
            check_beam("faiss-binary", "ef_search", self.ef_search, k)
        if space != "cosine":
            raise SettingError(
                f'faiss-binary compares directions, but the space is "{space}", where the length of a '
                'vector counts. Use the space "cosine", or another index.'
            )
        self._check_sizes(n_base, dim)

    def train(self, base: Matrix, space: Space, n_threads: int) -> BinaryHandle:  # noqa: ARG002
        """Return a trained index that is empty."""
        faiss = load("faiss")
        faiss.omp_set_num_threads(n_threads)
        handle = BinaryHandle(index=_make(self.factory, base.shape[1]), centre=self._centre(base))
        index = faiss.downcast_IndexBinary(handle.index)
        if hasattr(index, "cp"):
            index.cp.niter = self.train_iterations
            index.cp.max_points_per_centroid = self.train_points_per_list
            index.cp.seed = self.seed
        for graph in _graphs(index):
            graph.efConstruction = self.ef_construction
        index.train(handle.codes(base))
        return handle

    def add(self, handle: Any, base: Matrix, n_threads: int) -> None:
        """Add the base's codes."""
        load("faiss").omp_set_num_threads(n_threads)
        handle.index.add(handle.codes(base))

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a trained index that holds the base's codes."""
        handle = self.train(base, space, n_threads)
        self.add(handle, base, n_threads)
        return handle

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set every search option that the index has."""
        faiss = load("faiss")
        faiss.omp_set_num_threads(n_threads)
        index = faiss.downcast_IndexBinary(handle.index)
        if hasattr(index, "nprobe"):
            index.nprobe, index.max_codes = self.nprobe, self.max_codes
        if hasattr(index, "nflip"):
            index.nflip = self.n_flips
        beam = self.quantizer_ef_search if hasattr(index, "nprobe") else self.ef_search
        for graph in _graphs(index):
            graph.efSearch = beam

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return a search that first turns the query into bits, which is part of its cost."""
        search, codes = handle.index.search, handle.codes
        return lambda query: search(codes(query), k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return the same for a matrix."""
        return self.single(handle, k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the labels; faiss itself pads with -1."""
        _, labels = raw
        return np.asarray(labels, np.int64)

    def save(self, handle: Any, folder: Path) -> None:
        """Write the index, and the centre beside it."""
        load("faiss").write_index_binary(handle.index, str(folder / "faiss.index"))
        np.save(folder / "centre.npy", handle.centre)

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return the index with its centre."""
        index = load("faiss").read_index_binary(str(folder / "faiss.index"))
        return BinaryHandle(index=index, centre=np.load(folder / "centre.npy"))

    def theoretical_bytes(self, n_base: int, dim: int) -> int | None:
        """Return codes, ids, links and centres; None for hash tables, whose buckets depend on the data."""
        codes = binary_bytes(_make(self.factory, dim), n_base)
        return None if codes is None else codes + 4 * dim

    def _centre(self, base: Matrix) -> NDArray[np.float32]:
        if self.centre == "zero":
            return np.zeros(base.shape[1], np.float32)
        mean: NDArray[np.float32] = base.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def _has(self, option: str) -> bool:
        return re.match(_NEEDS[option].replace("...", r"\d+"), self.factory) is not None or (
            option == "ef_construction" and "HNSW" in self.factory
        )

    def _check_sizes(self, n_base: int | None, dim: int | None) -> None:
        n_lists = int(match[1]) if (match := re.match(r"BIVF(\d+)", self.factory)) else 0
        if n_base is not None and n_lists > n_base:
            raise SettingError(
                f"faiss learns {n_lists} lists for factory = {self.factory!r} from a base of "
                f"{n_base} items. Ask for fewer in the factory string, or give more items."
            )
        if dim is None or not (match := re.match(r"BHash(\d+)(?:x(\d+))?", self.factory)):
            return
        n_bits = int(match[1]) * int(match[2] or 1)
        if n_bits > dim:
            raise SettingError(
                f"faiss takes {n_bits} bits for the tables of factory = {self.factory!r}, but the "
                f"vectors have {dim} dimensions. Ask for fewer tables or bits."
            )


def _make(factory: str, dim: int) -> Any:
    """Return the empty index of a factory string, for whole bytes.

    Raises:
        SettingError: if faiss cannot make it; the message holds faiss's own reason.
    """
    try:
        return load("faiss").index_binary_factory(-(-dim // 8) * 8, factory)
    except RuntimeError as error:
        raise SettingError(
            f"faiss cannot make factory = {factory!r} for {dim} dimensions: {reason(error)}. "
            "Correct the factory string."
        ) from error


def _graphs(index: Any) -> list[Any]:
    """Return the graph that holds the items, or that finds the lists."""
    faiss = load("faiss")
    finder = getattr(index, "quantizer", None)
    inner = [] if finder is None else [faiss.downcast_IndexBinary(finder)]
    return [part.hnsw for part in [index, *inner] if hasattr(part, "hnsw")]
