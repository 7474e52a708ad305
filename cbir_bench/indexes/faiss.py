"""faiss, any index by its factory string. Douze et al., "The Faiss library", 2024."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.component import LATER
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_idle, check_k
from cbir_bench.indexes.faiss_bytes import expected_bytes
from cbir_bench.indexes.faiss_factory import NEEDS, check_space, has, parsed
from cbir_bench.indexes.faiss_search import search_parameters, set_options
from cbir_bench.indexes.faiss_structure import check_training, make, parts, searched
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space


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
        ensure_topk_full: whether a search that ``max_codes`` ends goes on until it has k results.
        quantizer_ef_search: beam of the graph that finds the lists, for "IVF..._HNSW...".
        quantizer_search_length: the same for "IVF..._NSG...".
        quantizer_nprobe: lists searched of the inverted file that finds the lists, at least 1, for
            "IVF...(IVF...,Flat)".
        quantizer_k_factor: candidates per list that "Refine" scores again where it finds the lists.
        quantizer_beam_factor: partial sums per list that the residual quantiser "IVF...(RCQ...)"
            keeps while it finds the lists, at least 1.
        ef_search: beam of an HNSW search in candidates, at least k.
        check_relative_distance: whether an HNSW search ends when the beam holds enough candidates
            nearer than the next one; otherwise it ends after ``ef_search`` steps.
        bounded_queue: whether an HNSW search forgets candidates that fall out of the beam.
        ef_construction: beam while an HNSW graph is built (faiss's own default of 40 costs recall).
        k_factor: candidates per result that "Refine", or the second code of "PQ8+16", scores again,
            at least 1; faiss's own default of 1 reorders the results without finding any other, so
            that it gains nothing.
        polysemous_ht: Hamming distance in bits up to which PQ codes are compared; 0 compares all.
        pq_comparison: how "PQ" compares: query with codes ("asymmetric"), codes with codes by their
            centres ("symmetric") or by their bits ("hamming").
        scan_table_threshold: lists of "IVF...,PQ" with fewer items than this are searched without
            a table of distances, which is a matter of speed alone.
        query_bits: bits per dimension of the query of "RaBitQ", 1 to 8; 0 keeps float32, which
            "RaBitQfs" cannot; by default what faiss takes: 4, and 8 for "RaBitQfs".
        centered: whether "RaBitQ" places these bits evenly around zero.
        search_length: beam of an NSG search in candidates, at least k.
        train_iterations: iterations of the k-means that makes the lists, at least 1.
        train_points_per_list: vectors per list that this k-means sees at most, at least 1.
        seed: of this k-means.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    EFFORT: ClassVar[frozenset[str]] = frozenset(
        {
            "nprobe",
            "quantizer_ef_search",
            "quantizer_search_length",
            "quantizer_nprobe",
            "quantizer_k_factor",
            "quantizer_beam_factor",
            "ef_search",
            "k_factor",
            "search_length",
        }
    )
    SEARCH_PARAMS: ClassVar[frozenset[str]] = EFFORT | {
        "max_codes",
        "ensure_topk_full",
        "check_relative_distance",
        "bounded_queue",
        "polysemous_ht",
        "pq_comparison",
        "scan_table_threshold",
        "query_bits",
        "centered",
    }
    REQUIRES: ClassVar[tuple[str, ...]] = ("faiss",)
    EXACT: ClassVar[bool] = False

    factory: str = "Flat"
    nprobe: Annotated[int, Ge(1)] = 8
    max_codes: Annotated[int, Ge(0)] = 0
    ensure_topk_full: bool = field(default=False, metadata=LATER)
    quantizer_ef_search: Annotated[int, Ge(1)] = 64
    quantizer_search_length: Annotated[int, Ge(1)] = field(default=64, metadata=LATER)
    quantizer_nprobe: Annotated[int, Ge(1)] = field(default=1, metadata=LATER)
    quantizer_k_factor: Annotated[float, Ge(1)] = field(default=1.0, metadata=LATER)
    quantizer_beam_factor: Annotated[float, Ge(1)] = field(default=4.0, metadata=LATER)
    ef_search: Annotated[int, Ge(1)] = 64
    check_relative_distance: bool = field(default=True, metadata=LATER)
    bounded_queue: bool = field(default=True, metadata=LATER)
    ef_construction: Annotated[int, Ge(1)] = 200
    k_factor: Annotated[float, Ge(1)] = 4.0
    polysemous_ht: Annotated[int, Ge(0)] = 0
    pq_comparison: Literal["asymmetric", "symmetric", "hamming"] = field(
        default="asymmetric", metadata=LATER
    )
    scan_table_threshold: Annotated[int, Ge(0)] = field(default=0, metadata=LATER)
    query_bits: Annotated[int, Ge(0), Le(8)] | None = field(default=None, metadata=LATER)
    centered: bool = field(default=False, metadata=LATER)
    search_length: Annotated[int, Ge(1)] = 64
    train_iterations: Annotated[int, Ge(1)] = 10
    train_points_per_list: Annotated[int, Ge(1)] = 256
    seed: Annotated[int, Ge(0)] = 1234

    def repeats(self, n_threads: int) -> bool:
        """Return whether it does: the graph of NSG depends on which of several threads comes first."""
        return n_threads == 1 or "NSG" not in self.factory

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:
        """Refuse factory strings that faiss cannot make or train, beams below ``k``, idle options."""
        check_k("faiss", k, n_base)
        idle = {o: f"{part} in the factory string" for o, (_, _, part) in NEEDS.items()}
        check_idle("faiss", self, {o: part for o, part in idle.items() if not self._has(o)})
        self._check_together()
        for beam in ("ef_search", "search_length"):
            if self._has(beam):
                check_beam("faiss", beam, getattr(self, beam), k)
        check_space(parsed(self.factory), space)
        if dim is not None:
            index = self._make(dim, space)
            if n_base is not None:
                check_training(self.factory, index, n_base)

    def train(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a trained ``faiss.Index`` that is empty."""
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
        return index

    def add(self, handle: Any, base: Matrix, n_threads: int) -> None:
        """Add the base; "IDMap" is given the rows as ids."""
        faiss = load("faiss")
        faiss.omp_set_num_threads(n_threads)
        if any(isinstance(part, faiss.IndexIDMap) for part in searched(handle)):
            handle.add_with_ids(base, np.arange(len(base)))
        else:
            handle.add(base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a trained ``faiss.Index`` that holds the base."""
        index = self.train(base, space, n_threads)
        self.add(index, base, n_threads)
        return index

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set every search option that the index has on the part that reads it."""
        load("faiss").omp_set_num_threads(n_threads)
        set_options(self, handle)

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``Index.search``, called by position, which is the fastest way."""
        search, parameters = handle.search, search_parameters(self, handle)
        if parameters is not None:
            return partial(search, k=k, params=parameters)
        return lambda query: search(query, k)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``Index.search``."""
        return partial(handle.search, k=k, params=search_parameters(self, handle))

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the labels; faiss itself pads with -1."""
        _, labels = raw
        return np.asarray(labels, np.int64)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file."""
        load("faiss").write_index(handle, str(folder / "faiss.index"))

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return the ``faiss.Index`` in the file, which knows its dimension and space."""
        return load("faiss").read_index(str(folder / "faiss.index"))

    def theoretical_bytes(self, n_base: int, dim: int) -> int | None:
        """Return codes, ids, links, centres and codebooks, where the kind of index is known."""
        return expected_bytes(self._make(dim, "cosine"), n_base)

    def _make(self, dim: int, space: Space) -> Any:
        """Return the empty index; unit rows are searched by inner product where that is possible."""
        faiss = load("faiss")
        by_distance = parsed(self.factory).by_distance(space)
        index = make(self.factory, dim, inner_product=not by_distance)
        kinds = {part.metric_type for part in searched(index)}
        if space == "ip" and kinds != {faiss.METRIC_INNER_PRODUCT}:
            raise SettingError(
                f"faiss makes factory = {self.factory!r} for Euclidean distance although the space "
                'is "ip". Use the space "cosine" or "l2", or another factory string.'
            )
        return index

    def _has(self, option: str) -> bool:
        return has(parsed(self.factory), option)

    def _check_together(self) -> None:
        """Refuse options of one index that exclude each other."""
        if self.ensure_topk_full and not self.max_codes:
            raise SettingError(
                "faiss has ensure_topk_full = True, which does nothing without max_codes. "
                "Leave out ensure_topk_full, or set max_codes."
            )
        if self.polysemous_ht and self.pq_comparison != "asymmetric":
            raise SettingError(
                f"faiss has polysemous_ht = {self.polysemous_ht} with pq_comparison = "
                f"{self.pq_comparison!r}, which does not filter. Leave out one of them."
            )
        if self.query_bits == 0 and "RaBitQfs" in self.factory:
            raise SettingError(
                'faiss has query_bits = 0 but "RaBitQfs" cannot keep queries in float32. '
                'Set query_bits to 1 to 8, or use "RaBitQ".'
            )
