"""faiss by factory string: what is refused, and that every option reaches the index."""

from __future__ import annotations

import re

import faiss
import numpy as np
import pytest

from cbir_bench.core.component import setting_of
from cbir_bench.core.errors import SettingError
from cbir_bench.core.index import TrainedIndex
from cbir_bench.indexes.faiss import FaissIndex
from cbir_bench.indexes.faiss_factory import parsed
from cbir_bench.indexes.faiss_structure import make, parts

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
        ("IVF16(PQ4,RFlat),Flat", "learns 256 codes per sub-vector .* from a base of 16 items"),
        ("IVF16(IVF17,Flat),Flat", "learns 17 lists .* from a base of 16 items"),
        ("RQ2x9", "learns 512 codes per step .* from a base of 400 items"),
        ("IVF16,LSQ2x9", "learns 512 codes per step"),
        ("PRQ2x1x9", "learns 512 codes per step"),
        ("Flat,Refine(PQ4x9)", "learns 512 codes per sub-vector"),
        ("IVF16_NSG8,Flat", "learns 101 links .* from a base of 16 items"),
        ("PCA17,Flat", "asks for 17 principal components of 16 dimensions"),
        ("OPQ3,PQ4x4fs", "rotates 16 dimensions for 3 sub-vectors"),
        ("Residual16,PQ4", "codes vectors but cannot search them"),
        ("RCQ2x3", "holds centres and no items"),
        ("ZnLattice2x10_4", "does not write its codes"),
        ("L2norm,Flat", 'another order than the space "l2"'),
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
        ({"factory": "HNSW16,PQ4", "polysemous_ht": 9}, "without PQ with 8 bits in"),
        ({"factory": "IVF16,PQ4x4fs", "max_codes": 9}, "without IVF or IMI without x4fs in"),
        ({"factory": "IVF16(IVF4,Flat),Flat", "quantizer_ef_search": 9}, "without IVF..._HNSW"),
        ({"factory": "IVF16,Flat", "quantizer_nprobe": 2}, "without IVF...(IVF...) in"),
        ({"factory": "IVF16,Flat", "query_bits": 8}, "without RaBitQ in"),
        ({"factory": "IVF16,Flat", "ensure_topk_full": True}, "does nothing without max_codes"),
        ({"factory": "PQ4", "polysemous_ht": 9, "pq_comparison": "hamming"}, "does not filter"),
        ({"factory": "RaBitQfs", "query_bits": 0}, "cannot keep queries in float32"),
    ],
)
def test_options_that_do_nothing_are_refused(options, said):
    """Five points of a sweep that are one and the same look like a library without effect."""
    with pytest.raises(SettingError, match=re.escape(said)):
        check(FaissIndex(**options))


@pytest.mark.parametrize(
    "factory", ["LSH", "IMI2x4,Flat", "PCA8,Flat", "HNSW16,PQ4", "HNSW16_32+PQ4", "IVF16,PQ4+4"]
)
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
    factory = "IVF16_HNSW8,SQ8,Refine(SQ8)"
    index = FaissIndex(
        factory=factory, nprobe=3, max_codes=77, quantizer_ef_search=99, k_factor=2.5
    )
    handle = index.build(base, "l2", 1)

    index.configure(handle, 1)

    refine, ivf, quantizer, *_ = parts(handle)
    assert (ivf.nprobe, ivf.max_codes) == (3, 77)
    assert quantizer.hnsw.efSearch == 99
    assert refine.k_factor == 2.5


@pytest.mark.parametrize(
    ("factory", "option", "cheap", "dear"),
    [
        ("IVF16,Flat", "nprobe", 1, 16),
        ("IMI2x3,Flat", "nprobe", 1, 64),
        ("IVF16(IVF4,Flat),Flat", "quantizer_nprobe", 1, 4),
        ("IVF16(PQ4x4fs,RFlat),Flat", "quantizer_k_factor", 1.0, 16.0),
        ("IVF16_HNSW4,Flat", "quantizer_ef_search", 1, 99),
        ("IVF256(RCQ2x4),Flat", "quantizer_beam_factor", 1.0, 64.0),
        ("HNSW4", "ef_search", 10, 400),
        ("NSG4", "search_length", 10, 400),
        ("PQ4x4fs,RFlat", "k_factor", 1.0, 16.0),
        ("RaBitQ", "query_bits", 1, 8),
        ("IVF16,RaBitQ", "query_bits", 1, 8),
        ("RaBitQfs", "query_bits", 1, 8),
        ("IVF16,RaBitQ", "max_codes", 20, 0),
        ("HNSW4", "check_relative_distance", False, True),
    ],
)
def test_each_option_changes_the_search_without_a_build(base, factory, option, cheap, dear):
    """A sweep over an option costs one build, and the option has to do what its name says."""
    rest = {"nprobe": 4 if "(" in factory else 16} if "IVF" in factory else {"ef_search": 10}
    rest = rest if "IVF" in factory or option == "check_relative_distance" else {}
    coarse, fine = (FaissIndex(factory=factory, **{**rest, option: v}) for v in (cheap, dear))
    handle = coarse.build(base, "l2", 1)

    found = [found_in(handle, index, base) for index in (coarse, fine, coarse)]

    assert option in FaissIndex.SEARCH_PARAMS
    assert found[0] == found[2] < found[1]


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        ("IVF16,RaBitQ", {"centered": True, "query_bits": 2}),
        ("RaBitQ", {"centered": True, "query_bits": 2}),
        ("IVF16,RaBitQfs", {"centered": True, "query_bits": 2}),
        ("RR,IVF16,RaBitQ,RFlat", {"centered": True, "query_bits": 2, "k_factor": 1.0}),
    ],
)
def test_bits_of_a_query_can_be_centred(base, factory, options):
    """faiss reads this from the index for some kinds, and for others from what a search is given."""
    plain = FaissIndex(factory=factory, **{**options, "centered": False})
    centred = FaissIndex(factory=factory, **options)
    handle = plain.build(base, "l2", 1)

    answers = [answer(handle, index, base[:50] + 0.3) for index in (plain, centred, plain)]

    assert (answers[0] != answers[1]).any()
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize(
    "factory", ["IVF16,Flat", "IVF16,PQ4x4np", "IDMap,IVF16,SQ8", "RR,IVF16,SQ8"]
)
def test_a_search_that_ends_early_can_be_made_to_fill_its_answer(base, factory):
    """Padding is no answer; the option is one of the search itself, not of the index."""
    short = FaissIndex(factory=factory, nprobe=16, max_codes=3)
    full = FaissIndex(factory=factory, nprobe=16, max_codes=3, ensure_topk_full=True)
    handle = short.build(base, "l2", 1)

    answers = [answer(handle, index, base[:50]) for index in (short, full)]

    assert (answers[0] == -1).any()
    assert (answers[1] >= 0).all()


def test_a_batch_is_searched_as_single_queries_are_where_parameters_are_passed(base):
    """One of the two could be given the parameters and the other not."""
    index = FaissIndex(factory="RR,IVF16,SQ8,RFlat", max_codes=20, ensure_topk_full=True)
    handle = index.build(base, "l2", 1)

    batch = answer(handle, index, base[:20])

    single = index.single(handle, 10)
    rows = [index.unpack(single(query), 10) for query in index.prepare(base[:20])]
    np.testing.assert_array_equal(np.concatenate(rows), batch)


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        ("IMI2x3,Flat", {"nprobe": 64}),
        ("IMI2x3,SQ8", {"nprobe": 64}),
        ("HNSW16,PQ4x4np,RFlat", {"ef_search": 400, "k_factor": 30.0}),
        ("HNSW16,RaBitQ,RFlat", {"ef_search": 400, "k_factor": 30.0}),
        ("HNSW16,FlatPanorama4", {"ef_search": 400}),
        ("LSH64rt,RFlat", {"k_factor": 30.0}),
        ("ITQ,LSHt,RFlat", {"k_factor": 40.0}),
        ("IDMap,PCAR16,SQ8", {}),
        ("RQ4x4_Nqint8,RFlat", {"k_factor": 30.0}),
        ("RQ4x4fs_Nrq2x4,RFlat", {"k_factor": 30.0}),
        ("IVF16,PQ4x4np,RFlat", {"nprobe": 16, "k_factor": 30.0}),
        ("IVF16,ITQ,SH,RFlat", {"nprobe": 16, "k_factor": 40.0}),
    ],
)
def test_kinds_for_euclidean_distance_find_true_neighbours(base, factory, options):
    """Codes alone lose most of them; with enough candidates scored again none may be missing."""
    index = FaissIndex(factory=factory, **options)
    check(index)

    handle = index.build(base, "l2", 1)

    assert found_in(handle, index, base) > 0.95 * 500


def answer(handle, index, queries):
    index.configure(handle, 1)
    return index.unpack(index.batch(handle, 10)(queries), 10)


def found_in(handle, index, base):
    """How many of the ten true neighbours of 50 points are found."""
    queries = base[:50] + 0.3
    distances = ((queries[:, None] - base[None]) ** 2).sum(2)
    true = np.argsort(distances, axis=1)[:, :10]
    rows = answer(handle, index, queries)
    return sum(len(set(a) & set(b)) for a, b in zip(rows, true, strict=True))


def test_learning_and_adding_apart_make_the_same_index(base):
    """They are timed apart, and have to add up to what is searched."""
    index = FaissIndex(factory="IVF16,SQ8,RFlat")

    trained = index.train(base, "l2", 1)
    n_before = trained.ntotal
    index.add(trained, base, 1)

    assert isinstance(index, TrainedIndex)
    assert n_before == 0
    whole = index.build(base, "l2", 1)
    np.testing.assert_array_equal(faiss.serialize_index(trained), faiss.serialize_index(whole))


@pytest.mark.parametrize("factory", ["IVF16,SQ8", "HNSW8,Flat", "IDMap,Flat", "RaBitQ"])
def test_a_saved_index_answers_the_same(base, factory, tmp_path):
    """A loaded index is what a server starts with."""
    index = FaissIndex(factory=factory)
    handle = index.build(base, "cosine", 1)

    index.save(handle, tmp_path)

    loaded = index.load(tmp_path, DIM, "cosine")
    np.testing.assert_array_equal(
        answer(loaded, index, base[:30]), answer(handle, index, base[:30])
    )


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    "factory",
    [
        "SQ8",
        "PQ4x4fs",
        "IVF16,Flat",
        "IVF16_HNSW8,SQ8",
        "HNSW8",
        "RaBitQ",
        "RQ2x4",
        "PRQ2x2x4",
        "LSHrt",
    ],
)
def test_what_is_said_to_repeat_itself_does(base, factory, n_threads):
    """Whoever trusts this measures one build instead of several."""
    index = FaissIndex(factory=factory)

    builds = [index.build(base, "l2", n_threads) for _ in range(2)]

    assert index.repeats(n_threads)
    first, second = (answer(handle, index, base) for handle in builds)
    np.testing.assert_array_equal(first, second)


def test_nsg_repeats_itself_with_one_thread_only():
    """Its neighbour graph is refined by threads that overtake each other."""
    assert FaissIndex(factory="NSG16").repeats(1)
    assert not FaissIndex(factory="NSG16").repeats(2)
    assert not FaissIndex(factory="IVF256_NSG16,Flat").repeats(2)


def test_options_that_came_later_are_no_part_of_older_keys():
    """Records of the time before them are still found."""
    assert set(setting_of("faiss", FaissIndex()).values) == {
        "factory", "nprobe", "max_codes", "quantizer_ef_search", "ef_search", "ef_construction",
        "k_factor", "polysemous_ht", "search_length", "train_iterations", "train_points_per_list",
        "seed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("factory", "parts_read"),
    [
        ("Flat", (False, "Flat", "")),
        ("OPQ8,IVF64,PQ8x4fs,RFlat", (True, "OPQ8,IVF64,PQ8x4fs", "Flat")),
        ("IDMap,IVF64_HNSW32,SQ8", (False, "IVF64,SQ8", "HNSW32")),
        ("IVF64(PQ4x4fs,RFlat),Flat", (False, "IVF64,Flat", "PQ4x4fs,RFlat")),
        ("IVF1k(IVF16,Flat),PQ8,Refine(SQ8)", (True, "IVF1k,PQ8", "IVF16,Flat")),
        ("IMI2x8,Flat", (False, "IMI2x8,Flat", "IMI")),
        ("HNSW32,PQ8,RefinePanorama(Flat)", (True, "HNSW32,PQ8", "")),
    ],
)
def test_a_factory_string_is_taken_apart(factory, parts_read):
    """An option belongs to the index that is searched, or to the one that finds its lists."""
    actual = parsed(factory)

    assert (actual.refines, actual.main, actual.coarse) == parts_read


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
    bits = FaissIndex(factory="PQ4", pq_comparison="hamming")
    centres = FaissIndex(factory="PQ4", pq_comparison="symmetric")
    handle = make("PQ4", DIM, inner_product=False)
    handle.do_polysemous_training = False  # takes long, and no answer is looked at here
    handle.train(base)

    kinds = []
    for index in (off, on, bits, centres, off):
        index.configure(handle, 1)
        kinds.append(handle.search_type)

    pq = faiss.IndexPQ
    assert kinds == [pq.ST_PQ, pq.ST_polysemous, pq.ST_HE, pq.ST_SDC, pq.ST_PQ]
    assert handle.pq.sdc_table.size() == 4 * 256 * 256


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
