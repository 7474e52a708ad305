"""faiss, any index by its factory string. Douze et al., "The Faiss library", 2024."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_idle, check_k
from cbir_bench.indexes.faiss_structure import check_training, expected_bytes, make, parts
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_L2_ONLY: Final = re.compile(r"LSH|RaBitQ|IMI|Residual")
"""Parts that faiss has, or that are any good, for Euclidean distance alone."""
_NEEDS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "nprobe": (re.compile(r"IVF|IMI|Residual"), "IVF"),
    "max_codes": (re.compile(r"IVF|IMI|Residual"), "IVF"),
    "train_iterations": (re.compile(r"IVF"), "IVF"),
    "train_points_per_list": (re.compile(r"IVF"), "IVF"),
    "seed": (re.compile(r"IVF"), "IVF"),
    "quantizer_ef_search": (re.compile(r"IVF\d+_HNSW"), "IVF..._HNSW"),
    "ef_search": (re.compile(r"(^|,)HNSW"), "HNSW"),
    "ef_construction": (re.compile(r"HNSW"), "HNSW"),
    "k_factor": (re.compile(r"Refine|RFlat"), "Refine"),
    "polysemous_ht": (re.compile(r"(^|,)PQ\d+(x8)?(,|$)"), "PQ with 8 bits"),
    "search_length": (re.compile(r"NSG"), "NSG"),
}
"""The part of a factory string without which an option does nothing."""
_NO_THRESHOLD: Final = 2**30
"""A Hamming threshold that no code reaches, which turns polysemous filtering off."""


@INDEXES.register("faiss")
@dataclass(frozen=True, kw_only=True)
class FaissIndex:
    """Any index that ``faiss.index_factory`` makes, with its search options.

    An option that the factory string has no part for is refused unless it has its default value.

    Attributes:
        factory: faiss's factory string: "Flat", "SQ8", "PQ32", "IVF256,Flat", "HNSW32",
            "IVF256,PQ32x4fs,Refine(SQfp16)", ... ("PQ32np" leaves out the polysemous training of
            "PQ32", which takes most of its build time and helps ``polysemous_ht`` alone).
        nprobe: lists of an inverted file that are searched, at least 1 (faiss's own default is 1).
        max_codes: codes compared per query before the search of the lists ends; 0 for no limit.
        quantizer_ef_search: beam of the graph that finds the lists, for "IVF..._HNSW...".
        ef_search: beam of an HNSW search in candidates, at least k.
        ef_construction: beam while an HNSW graph is built (faiss's own default of 40 costs recall).
        k_factor: candidates per result that "Refine" scores again, at least 1; faiss's own default of
            1 reorders the results without finding any other, so that it gains nothing.
        polysemous_ht: Hamming distance in bits up to which PQ codes are compared; 0 compares all.
        search_length: beam of an NSG search in candidates, at least k.
        train_iterations: iterations of the k-means that makes the lists, at least 1.
        train_points_per_list: vectors per list that this k-means sees at most, at least 1.
        seed: of this k-means.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset(
        {
            "nprobe",
            "max_codes",
            "quantizer_ef_search",
            "ef_search",
            "k_factor",
            "polysemous_ht",
            "search_length",
        }
    )
    REQUIRES: ClassVar[tuple[str, ...]] = ("faiss",)
    EXACT: ClassVar[bool] = False

    factory: str = "Flat"
    nprobe: Annotated[int, Ge(1)] = 8
    max_codes: Annotated[int, Ge(0)] = 0
    quantizer_ef_search: Annotated[int, Ge(1)] = 64
    ef_search: Annotated[int, Ge(1)] = 64
    ef_construction: Annotated[int, Ge(1)] = 200
    k_factor: Annotated[float, Ge(1)] = 4.0
    polysemous_ht: Annotated[int, Ge(0)] = 0
    search_length: Annotated[int, Ge(1)] = 64
    train_iterations: Annotated[int, Ge(1)] = 10
    train_points_per_list: Annotated[int, Ge(1)] = 256
    seed: Annotated[int, Ge(0)] = 1234

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:
        """Refuse factory strings that faiss cannot make or train, beams below ``k``, idle options."""
        check_k("faiss", k, n_base)
        idle = {option: f"{part} in the factory string" for option, (_, part) in _NEEDS.items()}
        check_idle("faiss", self, {o: part for o, part in idle.items() if not self._has(o)})
        if self._has("ef_search"):
            check_beam("faiss", "ef_search", self.ef_search, k)
        if self._has("search_length"):
            check_beam("faiss", "search_length", self.search_length, k)
        if space == "ip" and _L2_ONLY.search(self.factory):
            raise SettingError(
                f"faiss searches factory = {self.factory!r} by Euclidean distance only, but the "
                'space is "ip". Use the space "cosine" or "l2", or another factory string.'
            )
        if dim is not None:
            index = self._make(dim, space)
            if n_base is not None:
                check_training(self.factory, index, n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a trained ``faiss.Index`` that holds the base."""
        load("faiss").omp_set_num_threads(n_threads)
        index = self._make(base.shape[1], space)
        for part in parts(index):
            if hasattr(part, "cp"):
                part.cp.niter = self.train_iterations
                part.cp.max_points_per_centroid = self.train_points_per_list
                part.cp.seed = self.seed
            if hasattr(part, "hnsw"):
                part.hnsw.efConstruction = self.ef_construction
        index.train(base)
        index.add(base)
        return index

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set every search option that the index has, through ``faiss.ParameterSpace``."""
        faiss = load("faiss")
        faiss.omp_set_num_threads(n_threads)
        space = faiss.ParameterSpace()
        values = {
            "nprobe": ("nprobe", self.nprobe),
            "max_codes": ("max_codes", self.max_codes),
            "quantizer_ef_search": ("quantizer_efSearch", self.quantizer_ef_search),
            "ef_search": ("efSearch", self.ef_search),
            "k_factor": ("k_factor_rf", self.k_factor),
            "polysemous_ht": ("ht", self.polysemous_ht or _NO_THRESHOLD),
        }
        for option, (name, value) in values.items():
            if self._has(option):
                space.set_index_parameter(handle, name, value)
        for part in parts(handle):
            if hasattr(part, "nsg"):
                part.nsg.search_L = self.search_length

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``Index.search``, called by position, which is the fastest way."""
        search = handle.search
        return lambda query: search(query, k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``Index.search``."""
        return partial(handle.search, k=k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the labels; faiss itself pads with -1."""
        _, labels = raw
        return np.asarray(labels, np.int64)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file."""
        load("faiss").write_index(handle, str(folder / "faiss.index"))

    def theoretical_bytes(self, n_base: int, dim: int) -> int | None:
        """Return codes, ids, links, centres and codebooks, where the kind of index is known."""
        return expected_bytes(make(self.factory, dim, inner_product=False), n_base)

    def _make(self, dim: int, space: Space) -> Any:
        """Return the empty index; unit rows are searched by inner product where that is possible."""
        by_distance = space == "l2" or _L2_ONLY.search(self.factory) is not None
        return make(self.factory, dim, inner_product=not by_distance)

    def _has(self, option: str) -> bool:
        return _NEEDS[option][0].search(self.factory) is not None
