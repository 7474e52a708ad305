"""The bytes that faiss's parameters imply, against those of the saved index."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from cbir_bench.indexes.faiss import FaissIndex
from cbir_bench.indexes.faiss_binary import FaissBinaryIndex
from cbir_bench.indexes.faiss_bytes import expected_bytes
from cbir_bench.indexes.faiss_structure import make

FACTORIES = [
    "Flat",
    "SQ4",
    "SQ6",
    "SQ8",
    "SQfp16",
    "SQbf16",
    "SQtq4",
    "EDEN4",
    "PQ8x4np",
    "PQ8x4fs",
    "PQ8x4fs,RFlat",
    "PQ8x4fs,Refine(SQ8)",
    "LSH",
    "LSHt",
    "LSH64r",
    "LSH64rt",
    "RaBitQ",
    "RaBitQ4",
    "RaBitQfs",
    "RaBitQfs4",
    "RQ4x4",
    "RQ8x4fs",
    "PRQ2x2x4",
    "IVF16,Flat",
    "IVF16,SQ4",
    "IVF16,SQ6",
    "IVF16,SQ8",
    "IVF16,SQfp16",
    "IVF16,SQbf16",
    "IVF16,PQ8x4np",
    "IVF16,PQ8x4fs",
    "IVF16,RaBitQ",
    "IVF16,RaBitQ4",
    "IVF16,RaBitQfs",
    "IVF16,EDEN4",
    "IVF16,FlatDedup",
    "IVF16,SQ8,RFlat",
    "IVF16,RQ4x4",
    "IVF16,PRQ2x4x4fs",
    "IMI2x4,Flat",
    "IVF16_HNSW8,Flat",
    "IVF16(IVF4,Flat),Flat",
    "IVF16(PQ8x4fs,RFlat),Flat",
    "IVF64(RCQ2x3),Flat",
    "HNSW16",
    "HNSW16,SQ8",
    "HNSW16,PQ8x4np",
    "HNSW16,RaBitQ",
    "HNSW16,FlatPanorama4",
    "FlatL2Panorama4",
    "PCA16,Flat",
    "PCAR16,SQ8",
    "RR16,Flat",
    "HR,Flat",
    "L2norm,Flat",
    "ITQ16,LSHt",
    "IDMap,Flat",
    "RR,IVF16,RaBitQ,Refine(SQfp16)",
    "PCA16,HNSW16,SQ8",
]
LARGER = ["Flat", "SQ4", "SQ8", "RaBitQ", "LSHrt", "IVF64,SQ8", "IVF64,PQ16x4fs", "IVF64,RaBitQfs"]


def unit_vectors(n, dim):
    vectors = np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("factory", "n", "dim"),
    [(f, 2000, 32) for f in FACTORIES] + [(f, 10_000, 128) for f in LARGER],
)
def test_the_size_is_within_a_twentieth_of_the_saved_one(factory, n, dim):
    """Whoever plans a machine multiplies it by a million; forgotten ids or links would mislead them."""
    index = FaissIndex(factory=factory, ef_construction=20 if "HNSW" in factory else 200)

    handle = index.build(unit_vectors(n, dim), "cosine", 1)

    saved = len(faiss.serialize_index(handle))
    assert index.theoretical_bytes(n, dim) == pytest.approx(saved, rel=0.05)


@pytest.mark.parametrize("factory", ["BFlat", "BIVF16", "BIVF16_HNSW8", "BHNSW16"])
def test_the_size_of_a_binary_index_is_known(factory, tmp_path):
    """A bit per dimension is all that makes such an index worth its loss."""
    index = FaissBinaryIndex(factory=factory)

    index.save(index.build(unit_vectors(2000, 100), "cosine", 1), tmp_path)

    saved = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert index.theoretical_bytes(2000, 100) == pytest.approx(saved, rel=0.05)


def test_a_graph_without_levels_takes_its_links():
    """faiss keeps room for all links of NSG in memory, but saves only those that are set."""
    index = make("NSG16,Flat", 16, inner_product=False)

    assert expected_bytes(index, 1000) == 1000 * (4 * 16 + 4 * 16)


@pytest.mark.parametrize("factory", ["IVF16,ITQ,SH", "IVF16,FlatPanorama4"])
def test_what_depends_on_the_data_has_no_size(factory):
    """A guess would look like a fact."""
    assert FaissIndex(factory=factory).theoretical_bytes(1000, 16) is None


def test_an_unknown_kind_has_no_size():
    """Nor has an index of which a part is unknown."""
    assert expected_bytes(faiss.IndexSplitVectors(16), 1000) is None
    assert expected_bytes(faiss.IndexIDMap(faiss.IndexSplitVectors(16)), 1000) is None


def test_buckets_of_hash_tables_have_no_size():
    """How many there are depends on the data."""
    assert FaissBinaryIndex(factory="BHash8").theoretical_bytes(1000, 16) is None
