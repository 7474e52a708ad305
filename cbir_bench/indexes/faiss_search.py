"""Sets the search options of a faiss index, each on the part that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbir_bench.indexes.faiss_structure import searched
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from cbir_bench.indexes.faiss import FaissIndex


def set_options(options: FaissIndex, handle: Any) -> None:
    """Set all search options on an index; those of parts that it lacks have no place and no effect.

    ``faiss.ParameterSpace`` does the same, but it cuts ``k_factor`` to a whole number and knows
    neither NSG, RaBitQ nor residual quantisers.
    """
    for part in searched(handle):
        _set_lists(options, part)
        _set_codes(options, part)
        if hasattr(part, "k_factor"):
            part.k_factor = options.k_factor
        if hasattr(part, "hnsw"):
            part.hnsw.efSearch = options.ef_search
            part.hnsw.check_relative_distance = options.check_relative_distance
            part.hnsw.search_bounded_queue = options.bounded_queue
        if hasattr(part, "nsg"):
            part.nsg.search_L = options.search_length
        if hasattr(part, "quantizer"):
            for finder in searched(part.quantizer):
                _set_finder(options, finder)


def search_parameters(options: FaissIndex, handle: Any) -> Any:
    """Return what has to be passed with every search, None for the most part.

    Two options cannot be set on an index. Parameters take the place of all that its parts are set to,
    so these values are passed, too.
    """
    if not (options.ensure_topk_full or options.centered):
        return None
    faiss = load("faiss")
    part = faiss.downcast_index(handle)
    if isinstance(part, faiss.IndexIVF):
        return _list_parameters(options, part)
    inner = next((getattr(part, n) for n in ("index", "base_index") if hasattr(part, n)), None)
    parameters = None if inner is None else search_parameters(options, inner)
    if parameters is None or isinstance(part, faiss.IndexIDMap):
        return parameters
    if isinstance(part, faiss.IndexRefine):
        return faiss.IndexRefineSearchParameters(
            k_factor=part.k_factor, base_index_params=parameters
        )
    return faiss.SearchParametersPreTransform(index_params=parameters)


def _list_parameters(options: FaissIndex, part: Any) -> Any:
    faiss = load("faiss")
    common = {
        "nprobe": part.nprobe,
        "max_codes": part.max_codes,
        "ensure_topk_full": options.ensure_topk_full,
    }
    if isinstance(part, faiss.IndexIVFFastScan):
        return None
    if isinstance(part, faiss.IndexIVFRaBitQ):
        return faiss.IVFRaBitQSearchParameters(qb=part.qb, centered=options.centered, **common)
    if isinstance(part, faiss.IndexIVFPQ):
        return faiss.IVFPQSearchParameters(
            polysemous_ht=part.polysemous_ht,
            scan_table_threshold=part.scan_table_threshold,
            **common,
        )
    return faiss.SearchParametersIVF(**common)


def _set_lists(options: FaissIndex, part: Any) -> None:
    """Set what an inverted file reads."""
    if hasattr(part, "nprobe"):
        part.nprobe = options.nprobe
        part.max_codes = options.max_codes
    if hasattr(part, "scan_table_threshold"):
        part.scan_table_threshold = options.scan_table_threshold


def _set_codes(options: FaissIndex, part: Any) -> None:
    """Set what product quantisers and RaBitQ read."""
    if hasattr(part, "search_type") and hasattr(part, "polysemous_ht"):
        part.search_type = _search_type(options, part)
    if hasattr(part, "polysemous_ht"):
        part.polysemous_ht = options.polysemous_ht
    if hasattr(part, "qb"):
        own = 8 if hasattr(part, "bbs") else 4
        part.qb = own if options.query_bits is None else options.query_bits
    if hasattr(part, "centered"):
        part.centered = options.centered


def _search_type(options: FaissIndex, part: Any) -> int:
    """Return faiss's number of a way to compare PQ codes; make the table that one of them needs."""
    if options.polysemous_ht:
        return int(part.ST_polysemous)
    if options.pq_comparison == "symmetric":
        part.pq.compute_sdc_table()
    kinds = {"asymmetric": part.ST_PQ, "symmetric": part.ST_SDC, "hamming": part.ST_HE}
    return int(kinds[options.pq_comparison])


def _set_finder(options: FaissIndex, part: Any) -> None:
    """Set what the index that finds the lists reads."""
    faiss = load("faiss")
    if hasattr(part, "hnsw"):
        part.hnsw.efSearch = options.quantizer_ef_search
    if hasattr(part, "nsg"):
        part.nsg.search_L = options.quantizer_search_length
    if hasattr(part, "nprobe"):
        part.nprobe = options.quantizer_nprobe
    if isinstance(part, faiss.IndexRefine):
        part.k_factor = options.quantizer_k_factor
    if isinstance(part, faiss.ResidualCoarseQuantizer):
        part.set_beam_factor(options.quantizer_beam_factor)
