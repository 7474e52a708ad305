"""The bytes that a faiss index should take once it holds its base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbir_bench.indexes.faiss_structure import additive_quantizer, transforms
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Iterator


def expected_bytes(index: Any, n_base: int) -> int | None:
    """Return what an empty index should take once it holds ``n_base`` items; None if unknown here.

    Vectors or codes, ids, links, centres, codebooks and rotations are counted; faiss's tables that
    only speed up a search are not.
    """
    sizes = list(_sizes(index, n_base))
    known = [size for size in sizes if size is not None]
    return round(sum(known)) if len(known) == len(sizes) else None


def _sizes(index: Any, n_base: int) -> Iterator[float | None]:
    """Yield the bytes of an index's parts, None for what nobody can say."""
    faiss = load("faiss")
    part = faiss.downcast_index(index)
    if isinstance(part, faiss.IndexPreTransform):
        yield from (_transform_bytes(step) for step in transforms(part))
        yield expected_bytes(part.index, n_base)
    elif isinstance(part, faiss.IndexRefine):
        yield from (expected_bytes(i, n_base) for i in (part.base_index, part.refine_index))
    elif isinstance(part, faiss.IndexIDMap):
        yield 8 * n_base
        yield expected_bytes(part.index, n_base)
    elif isinstance(part, faiss.IndexHNSW):
        yield n_base * _hnsw_bytes_per_item(part.hnsw)
        yield expected_bytes(part.storage, n_base)
        if isinstance(part, faiss.IndexHNSWFlatPanorama):
            yield 4 * n_base * (part.num_panorama_levels + 1)
    elif isinstance(part, faiss.IndexNSG):
        yield 4 * part.nsg.R * n_base
        yield expected_bytes(part.storage, n_base)
    elif isinstance(part, faiss.IndexIVF):
        yield from _inverted_file_sizes(part, n_base)
    elif isinstance(part, faiss.MultiIndexQuantizer | faiss.AdditiveCoarseQuantizer):
        yield _learnt_bytes(part)
        yield 4 * n_base if hasattr(part, "centroid_norms") else 0
    else:
        yield _flat_bytes(part, n_base) if hasattr(part, "code_size") else None


def _inverted_file_sizes(part: Any, n_base: int) -> Iterator[float | None]:
    faiss = load("faiss")
    if isinstance(part, faiss.IndexIVFSpectralHash | faiss.IndexIVFFlatPanorama):
        yield None  # thresholds of each list, and blocks that are mostly empty
    refine_codes = part.refine_pq.code_size if hasattr(part, "refine_pq") else 0
    yield n_base * (part.code_size + 8 + refine_codes)
    if isinstance(part, faiss.IndexIVFFastScan):
        # The last block of a list is padded, by half a block on average.
        yield part.nlist * part.code_size * (part.bbs - 1) / 2
    yield min(8 * part.nlist, 16 * n_base)  # how long each list is
    yield _learnt_bytes(part)
    yield expected_bytes(part.quantizer, part.nlist)


def _flat_bytes(part: Any, n_base: int) -> int:
    """Return codes, one after the other, with what they were coded by."""
    faiss = load("faiss")
    size = n_base * int(part.code_size)
    if isinstance(part, faiss.IndexFlatPanorama):
        n_padded = -(-n_base // part.batch_size) * part.batch_size
        size = n_padded * (int(part.code_size) + 4 * (part.n_levels + 1))
    if isinstance(part, faiss.IndexLSH):
        size += 4 * part.nbits * (part.d * part.rotate_data + part.train_thresholds)
    if isinstance(part, faiss.Index2Layer):
        size += expected_bytes(part.q1.quantizer, part.q1.nlist) or 0
    return size + _learnt_bytes(part)


def _learnt_bytes(part: Any) -> int:
    """Return codebooks, ranges and centres."""
    floats = 0
    for name in ("pq", "refine_pq"):
        if hasattr(part, name):
            floats += getattr(part, name).d * getattr(part, name).ksub
    if (additive := additive_quantizer(part)) is not None:
        floats += additive.d * additive.total_codebook_size
    if hasattr(part, "sq"):
        floats += part.d if part.sq.trained.size() == 0 else part.sq.trained.size()
    if hasattr(part, "rabitq"):
        floats += part.d
    return 4 * int(floats)


def _transform_bytes(step: Any) -> int:
    """Return the bytes of a matrix (PCA, OPQ, ...) that comes before the index proper."""
    faiss = load("faiss")
    d_in, d_out = step.d_in, step.d_out
    if isinstance(step, faiss.PCAMatrix):  # the whole matrix is kept beside the part that is used
        return int(4 * (d_in * d_out + d_in * d_in + d_out + 2 * d_in))
    if isinstance(step, faiss.ITQTransform):
        return int(4 * (d_in * d_out + d_out * d_out + d_in))
    return int(4 * d_in * d_out) if hasattr(step, "A") else 0


def _hnsw_bytes_per_item(graph: Any) -> float:
    """Return links, offset and level; a node has 1 / (m - 1) upper levels on average."""
    lowest, m = int(graph.nb_neighbors(0)), int(graph.nb_neighbors(1))
    return 4 * (lowest + m / (m - 1)) + 8 + 4


def binary_bytes(index: Any, n_base: int) -> int | None:
    """Return what an empty binary index should take once it holds ``n_base`` items, or None."""
    faiss = load("faiss")
    part: Any = faiss.downcast_IndexBinary(index)
    if isinstance(part, faiss.IndexBinaryFlat):
        return int(n_base * part.code_size)
    if isinstance(part, faiss.IndexBinaryHNSW):
        return int(n_base * (_hnsw_bytes_per_item(part.hnsw) + part.code_size))
    if isinstance(part, faiss.IndexBinaryIVF):
        items = int(n_base * (part.code_size + 8) + 8 * part.nlist)
        lists = binary_bytes(part.quantizer, part.nlist)
        return None if lists is None else lists + items
    return None
