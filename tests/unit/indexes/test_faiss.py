"""faiss by factory string: what is refused, and that every option reaches the index."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from cbir_bench.core.errors import SettingError
from cbir_bench.indexes.faiss import FaissIndex
from cbir_bench.indexes.faiss_structure import expected_bytes, make, parts

N, DIM = 400, 16


@pytest.fixture(scope="module")
def base():
    return np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)


def check(index, **sizes):
    index.check(**{"k": 10, "n_base": N, "dim": DIM, "space": "l2", **sizes})


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("IVFx,Flat", r"could not parse index string IVFx,Flat\. Correct the factory string"),
        ("", "cannot make factory = ''"),
        ("PQ7", "should be a multiple of the number of subquantizers"),
        ("IVF401,Flat", "learns 401 lists .* from a base of 400 items"),
        ("PQ4x10", "learns 1024 codes per sub-vector .* from a base of 400 items"),
        ("OPQ4,IVF500,PQ4x4fs,RFlat", "learns 500 lists"),
    ],
)
def test_what_faiss_cannot_make_is_a_sentence(factory, said):
    """faiss's own message is a C++ assertion, and comes after minutes of training."""
    with pytest.raises(SettingError, match=said) as caught:
        check(FaissIndex(factory=factory))

    assert "/project/" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factory": "Flat", "nprobe": 4}, "nprobe = 4, which does nothing"),
        ({"factory": "IVF16,Flat", "k_factor": 2.0}, "without Refine in the factory string"),
        ({"factory": "IVF16_HNSW8,Flat", "ef_search": 99}, "without HNSW in"),
        ({"factory": "OPQ4,IVF16,PQ4x4fs", "polysemous_ht": 9}, "without PQ with 8 bits in"),
        ({"factory": "PQ4np", "polysemous_ht": 9}, "without PQ with 8 bits in"),
        ({"factory": "HNSW16", "ef_search": 9}, "Set ef_search to 10 or more"),
        ({"factory": "NSG16", "search_length": 9}, "Set search_length to 10 or more"),
    ],
)
def test_options_that_do_nothing_are_refused(options, said):
    """Five points of a sweep that are one and the same look like a library without effect."""
    with pytest.raises(SettingError, match=said):
        check(FaissIndex(**options))


@pytest.mark.parametrize("factory", ["LSH", "IVF16,RaBitQ", "IMI2x4,Flat"])
def test_what_is_made_for_euclidean_distance_is_not_searched_by_inner_product(factory):
    """On unit vectors the distance gives the same order; on others it does not."""
    index = FaissIndex(factory=factory)

    with pytest.raises(SettingError, match="by Euclidean distance only"):
        check(index, space="ip")
    check(index, space="cosine", n_base=None)


def test_unit_vectors_are_searched_by_inner_product_where_faiss_can(base):
    """It is the cheaper of two equivalent ways."""
    assert FaissIndex().build(base, "cosine", 1).metric_type == faiss.METRIC_INNER_PRODUCT
    assert FaissIndex().build(base, "l2", 1).metric_type == faiss.METRIC_L2
    assert FaissIndex(factory="LSH").build(base, "cosine", 1).metric_type == faiss.METRIC_L2


def test_every_search_option_reaches_its_part(base):
    """An option that is accepted and lost is worse than none."""
    factory = "IVF16_HNSW8,PQ4x4fs,Refine(SQ8)"
    index = FaissIndex(
        factory=factory, nprobe=3, max_codes=77, quantizer_ef_search=99, k_factor=5.0
    )
    handle = index.build(base, "l2", 1)

    index.configure(handle, 1)

    refine, ivf, quantizer, *_ = parts(handle)
    assert (ivf.nprobe, ivf.max_codes) == (3, 77)
    assert quantizer.hnsw.efSearch == 99
    assert refine.k_factor == 5.0


def test_graph_options_reach_the_graph(base):
    """faiss's own ef_construction of 40 costs recall that no search option brings back."""
    hnsw = FaissIndex(factory="HNSW8,SQ8", ef_construction=77, ef_search=55)
    nsg = FaissIndex(factory="NSG8", search_length=44)

    graph, levels = nsg.build(base, "l2", 1), hnsw.build(base, "l2", 1)
    nsg.configure(graph, 1)
    hnsw.configure(levels, 1)

    assert (levels.hnsw.efConstruction, levels.hnsw.efSearch) == (77, 55)
    assert graph.nsg.search_L == 44


def test_the_polysemous_threshold_can_be_set_and_unset(base):
    """The trial after one that used it must not inherit it."""
    on, off = (FaissIndex(factory="PQ4", polysemous_ht=ht) for ht in (12, 0))
    handle = make("PQ4", DIM, inner_product=False)
    handle.do_polysemous_training = False  # takes long, and no answer is looked at here
    handle.train(base)

    kinds = []
    for index in (off, on, off):
        index.configure(handle, 1)
        kinds.append(handle.search_type)

    assert kinds == [faiss.IndexPQ.ST_PQ, faiss.IndexPQ.ST_polysemous, faiss.IndexPQ.ST_PQ]


def test_the_lists_are_trained_as_asked(base):
    """Iterations, sample and seed decide what the lists are."""
    options = {"train_iterations": 3, "train_points_per_list": 10, "seed": 5}

    handle = FaissIndex(factory="IVF16,Flat", **options).build(base, "l2", 1)

    assert (handle.cp.niter, handle.cp.max_points_per_centroid, handle.cp.seed) == (3, 10, 5)


def test_refinement_finds_more_than_it_is_given_by_faiss(base):
    """With faiss's own k_factor of 1 the same items come back in another order."""
    queries = base[:50] + 0.3
    true = {}
    for name, index in {
        "flat": FaissIndex(),
        "faiss": FaissIndex(factory="PQ4x4fs,RFlat", k_factor=1.0),
        "ours": FaissIndex(factory="PQ4x4fs,RFlat"),
    }.items():
        handle = index.build(base, "l2", 1)
        index.configure(handle, 1)
        true[name] = index.unpack(index.batch(handle, 10)(queries), 10)

    found = {
        n: sum(len(set(a) & set(b)) for a, b in zip(true[n], true["flat"], strict=True))
        for n in true
    }
    assert found["ours"] > 1.5 * found["faiss"]


@pytest.mark.parametrize(
    "factory", ["IDMap,Flat", "PCA8,HNSW16,SQ8", "PCAR8,Flat", "IVF16_HNSW8,Flat"]
)
def test_the_size_of_wrapped_indexes_is_known(factory, base):
    """Wrappers add what is theirs to what is inside."""
    index = make(factory, DIM, inner_product=False)
    expected = expected_bytes(index, N)

    index.train(base)
    if factory.startswith("IDMap"):
        index.add_with_ids(base, np.arange(N))
    else:
        index.add(base)

    assert expected == pytest.approx(len(faiss.serialize_index(index)), rel=0.1)


def test_a_graph_without_levels_takes_its_links():
    """faiss keeps room for all links of NSG in memory, but saves only those that are set."""
    index = make("NSG16,Flat", DIM, inner_product=False)

    assert expected_bytes(index, 1000) == 1000 * (4 * 16 + 4 * DIM)


def test_an_unknown_kind_has_no_size():
    """A guess would look like a fact."""
    assert expected_bytes(faiss.IndexHNSWFlat(DIM, 8), 1000) is not None
    assert expected_bytes(faiss.IndexSplitVectors(DIM), 1000) is None
