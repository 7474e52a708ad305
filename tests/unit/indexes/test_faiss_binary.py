"""faiss's binary indexes: bits by sign, Hamming distance, what is refused."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from cbir_bench.core.component import setting_of
from cbir_bench.core.errors import SettingError
from cbir_bench.core.index import TrainedIndex
from cbir_bench.indexes.faiss_binary import FaissBinaryIndex

N, DIM = 600, 36
"""36 dimensions are four and a half bytes."""


@pytest.fixture(scope="module")
def base():
    return np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)


def answer(handle, index, queries, k=10):
    index.configure(handle, 1)
    return index.unpack(index.batch(handle, k)(queries), k)


def hamming(base, queries, centre):
    return ((queries > centre)[:, None] != (base > centre)[None]).sum(2)


@pytest.mark.parametrize("centre", ["mean", "zero"])
def test_the_nearest_by_hamming_distance_are_found(base, centre):
    """Far from the origin all bits are equal unless they are taken around the mean."""
    base = base + np.float32(0.7)
    queries = base[:40] + np.float32(0.2)
    index = FaissBinaryIndex(centre=centre)
    true = hamming(base, queries, base.mean(0) if centre == "mean" else 0)

    actual = answer(index.build(base, "cosine", 1), index, queries)

    found = np.take_along_axis(true, actual, 1)
    np.testing.assert_array_equal(found, np.sort(true, axis=1)[:, :10])


@pytest.mark.parametrize(
    ("factory", "option", "cheap", "dear"),
    [
        ("BIVF16", "nprobe", 1, 16),
        ("BIVF16", "max_codes", 20, 0),
        ("BIVF64_HNSW2", "quantizer_ef_search", 1, 99),
        ("BHNSW4", "ef_search", 10, 500),
        ("BHash8", "n_flips", 0, 3),
        ("BHash2x8", "n_flips", 0, 3),
    ],
)
def test_each_option_changes_the_search_without_a_build(base, factory, option, cheap, dear):
    """A sweep over an option costs one build, and the option has to do what its name says."""
    rest = {"nprobe": 8} if "BIVF" in factory and option != "nprobe" else {}
    coarse, fine = (FaissBinaryIndex(factory=factory, **rest, **{option: v}) for v in (cheap, dear))
    handle = coarse.build(base, "cosine", 1)
    true = hamming(base, base[:50] + 0.3, base.mean(0))
    worst = np.sort(true, axis=1)[:, 9:10]

    found = []
    for index in (coarse, fine, coarse):
        ids = answer(handle, index, base[:50] + np.float32(0.3))
        distances = np.take_along_axis(true, np.maximum(ids, 0), 1)
        found.append(((ids >= 0) & (distances <= worst)).sum())

    assert option in FaissBinaryIndex.SEARCH_PARAMS
    assert found[0] == found[2] < found[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factory": "BIVF16,PQ8"}, "knows no binary index factory = 'BIVF16,PQ8'"),
        ({"factory": "Flat"}, 'Use "BFlat"'),
        ({"factory": "BIVF601"}, "learns 601 lists .* base of 600 items"),
        ({"factory": "BHash4x16"}, "takes 64 bits .* 36 dimensions"),
        ({"factory": "BFlat", "nprobe": 3}, "does nothing without BIVF in"),
        ({"factory": "BIVF16", "n_flips": 3}, "does nothing without BHash in"),
        ({"factory": "BIVF16", "quantizer_ef_search": 3}, r"without BIVF\.\.\._HNSW in"),
        ({"factory": "BIVF16_HNSW8", "ef_search": 99}, "without BHNSW in"),
        ({"factory": "BHNSW8", "ef_search": 9}, "Set ef_search to 10 or more"),
    ],
)
def test_what_cannot_work_is_a_sentence(options, said):
    """faiss itself reads "BIVF16,PQ8" as "BIVF16", and dies in a table that is too wide."""
    with pytest.raises(SettingError, match=said):
        FaissBinaryIndex(**options).check(k=10, n_base=N, dim=DIM, space="cosine")


@pytest.mark.parametrize("space", ["ip", "l2"])
def test_lengths_are_lost(space):
    """By inner product long vectors come first, by distance short ones; bits know neither."""
    with pytest.raises(SettingError, match="where the length of a vector counts"):
        FaissBinaryIndex().check(k=10, n_base=N, dim=DIM, space=space)


def test_graph_and_lists_are_made_as_asked(base):
    """Build options have to reach the index that they are for."""
    lists = FaissBinaryIndex(
        factory="BIVF16_HNSW8", train_iterations=3, train_points_per_list=10, seed=5,
        ef_construction=77,
    ).build(base, "cosine", 1)  # fmt: skip
    graph = FaissBinaryIndex(factory="BHNSW8", ef_construction=66).build(base, "cosine", 1)

    cp = lists.index.cp
    assert (cp.niter, cp.max_points_per_centroid, cp.seed) == (3, 10, 5)
    finder = faiss.downcast_IndexBinary(lists.index.quantizer)
    assert finder.hnsw.efConstruction == 77
    assert graph.index.hnsw.efConstruction == 66


@pytest.mark.parametrize(
    "factory", ["BFlat", "BIVF16", "BIVF16_HNSW8", "BHNSW8", "BHash8", "BHash2x8"]
)
def test_a_saved_index_answers_the_same(base, factory, tmp_path):
    """Without the centre, queries of a loaded index would become other bits."""
    index = FaissBinaryIndex(factory=factory)
    handle = index.build(base, "cosine", 1)

    index.save(handle, tmp_path)

    loaded = index.load(tmp_path, DIM, "cosine")
    np.testing.assert_array_equal(
        answer(loaded, index, base[:30]), answer(handle, index, base[:30])
    )


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("factory", ["BFlat", "BIVF16", "BIVF16_HNSW8", "BHNSW8", "BHash8"])
def test_what_is_said_to_repeat_itself_does(base, factory, n_threads):
    """Whoever trusts this measures one build instead of several."""
    index = FaissBinaryIndex(factory=factory)

    first, second = (answer(index.build(base, "cosine", n_threads), index, base) for _ in range(2))

    assert index.repeats(n_threads)
    np.testing.assert_array_equal(first, second)


def test_learning_and_adding_apart_make_the_same_index(base):
    """They are timed apart, and have to add up to what is searched."""
    index = FaissBinaryIndex(factory="BIVF16")

    trained = index.train(base, "cosine", 1)
    n_before = trained.index.ntotal
    index.add(trained, base, 1)

    assert isinstance(index, TrainedIndex)
    assert n_before == 0
    whole = index.build(base, "cosine", 1)
    np.testing.assert_array_equal(answer(trained, index, base), answer(whole, index, base))


def test_every_option_is_part_of_the_key():
    """Two indexes that differ must not share a record."""
    assert setting_of("faiss-binary", FaissBinaryIndex()).values["centre"] == "mean"
