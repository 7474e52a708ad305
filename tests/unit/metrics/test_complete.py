"""Ranks in complete rankings equal those of a ranking written out in exact fractions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import exact_search
from unit.metrics.builders import clustered, full_base, query_set
from unit.metrics.ways import WAYS, ranks_by

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import SettingError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.metrics import complete
from cbir_bench.metrics.complete import complete_blocks, complete_quotients, complete_ranks
from cbir_bench.metrics.counting import kernels, tiles
from cbir_bench.metrics.counting.ranked import Ranked
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.similarity import Similarities

SPACES = ["cosine", "ip", "l2"]


def ranks_of(positives):
    """Return the ranks as a list for each query."""
    return [row.tolist() for row in np.split(positives.ranks, positives.starts[1:-1])]


def expected_ranks(similarities, truth):
    """Return the same from exact fractions."""
    return [
        exact_search.positive_ranks(
            similarities.queries[q],
            similarities.base,
            similarities.space,
            set(np.flatnonzero(truth.relevant(q)).tolist()),
            truth.self_ids[q],
        )
        for q in range(len(truth.query_rows))
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", SPACES)
def test_leave_one_out(space, way):
    """Every item against all others."""
    vectors, labels = clustered(40, 5, 6, seed=0)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, space)

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert actual.n_relevant.tolist() == truth.n_relevant.tolist()
    assert actual.depth is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", SPACES)
def test_a_query_set(space, way):
    """Queries apart from the base; one of them has nothing relevant."""
    vectors, labels = clustered(40, 5, 6, seed=1)
    truth = query_set(["none", *labels[1:10]], labels[10:])
    similarities = Similarities.of(vectors, truth, space)

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert ranks_of(actual)[0] == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", SPACES)
def test_several_labels_per_item(space, way):
    """An item that shares two labels with a query is one relevant item, not two."""
    vectors, _ = clustered(30, 5, 6, seed=2)
    random = np.random.default_rng(0)
    labels = [random.choice(list("abcdef"), random.integers(1, 4), replace=False) for _ in vectors]
    truth = full_base([tuple(map(str, one)) for one in labels])
    similarities = Similarities.of(vectors, truth, space)

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert np.diff(actual.starts).tolist() == truth.n_relevant.tolist()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", ["ip", "l2"])
def test_vectors_full_of_ties(space, way):
    """Small whole numbers: most pairs tie exactly, and id decides."""
    random = np.random.default_rng(0)
    vectors = random.integers(-1, 2, (40, 3)).astype(np.float32)
    truth = full_base(random.choice(list("abc"), 40).tolist())
    similarities = Similarities.of(vectors, truth, space)

    assert ranks_of(ranks_by(way, similarities, truth)) == expected_ranks(similarities, truth)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", ["ip", "l2"])
def test_differences_below_the_last_bit_of_float32(space, way):
    """The float32 product cannot order these; the float64 one does."""
    random = np.random.default_rng(0)
    steps = random.permutation(40) * 2.0**-22
    steps[:5] = 1
    vectors = np.stack([np.full(40, 1000.0), steps, np.ones(40)], 1).astype(np.float32)
    truth = query_set(["a"] * 5, random.choice(list("ab"), 35).tolist())
    similarities = Similarities.of(vectors, truth, space)

    assert ranks_of(ranks_by(way, similarities, truth)) == expected_ranks(similarities, truth)


@pytest.mark.parametrize("way", WAYS)
def test_all_items_the_same(way):
    """A model that has collapsed: every similarity is a tie, and memory stays bounded."""
    truth = full_base(["a", "b"] * 50)
    similarities = Similarities.of(np.ones((100, 4), np.float32), truth, "cosine")

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual)[0] == list(range(2, 100, 2))
    assert ranks_of(actual) == expected_ranks(similarities, truth)


def test_blocks_are_consecutive_queries():
    """Whoever streams them gets every query once, in order."""
    vectors, labels = clustered(50, 4, 5, seed=0)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, "cosine")

    blocks = list(complete_blocks(similarities, truth, memory_bytes=2000))

    assert len(blocks) > 5
    assert np.concatenate([b.n_relevant for b in blocks]).tolist() == truth.n_relevant.tolist()
    streamed = [row for block in blocks for row in ranks_of(block)]
    assert streamed == ranks_of(complete_ranks(similarities, truth))


def test_scores_of_blocks_are_those_of_the_whole():
    """Metrics of a large base are computed block by block, without all ranks at once."""
    vectors, labels = clustered(60, 4, 5, seed=0)
    truth = full_base([*labels[:-1], "alone"])
    similarities = Similarities.of(vectors, truth, "cosine")

    actual = complete_quotients(["ap", "ndcg@5"], similarities, truth, memory_bytes=3000)

    ranks = complete_ranks(similarities, truth)
    np.testing.assert_array_equal(actual["ap"].scores, MetricName("ap").scores(ranks))
    np.testing.assert_array_equal(actual["ndcg@5"].scores, MetricName("ndcg", 5).scores(ranks))
    assert np.isnan(actual["ap"].scores[-1])


def test_cosine_is_the_product_of_unit_rows():
    """Lengths of the model's vectors play no part."""
    vectors, labels = clustered(40, 5, 6, seed=0)
    truth = full_base(labels)

    plain = complete_ranks(Similarities.of(unit_rows(vectors), truth, "ip"), truth)
    cosine = complete_ranks(Similarities.of(3 * vectors, truth, "cosine"), truth)

    np.testing.assert_array_equal(cosine.ranks, plain.ranks)


def mixed(seed, **changes):
    """Return (similarities, truth) with near-duplicates, several labels, junk and lone queries."""
    random = np.random.default_rng(seed)
    vectors, labels = clustered(1300, 19, 12, seed=seed)
    vectors[1::7] = vectors[::7][: len(vectors[1::7])]
    vectors[2::7] *= np.float32(1 + 2.0**-23)
    sets = [tuple({label, random.choice(labels)}) for label in labels]
    truth = full_base([*sets[:-1], ("alone",)])
    junk = ItemLists.of([random.choice(1300, q % 4, replace=False) for q in range(1300)])
    truth = replace(truth, **{"junk": junk, "graded": True} | changes)
    return Similarities.of(vectors, truth, changes.pop("space", "cosine")), truth


@pytest.mark.parametrize("way", list(WAYS)[1:])
@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("junk", [True, False])
@pytest.mark.parametrize("memory_bytes", [1, 1 << 30])
def test_all_ways_find_the_same(way, graded, junk, memory_bytes):
    """Threads, blocks, tiles and device change no number: not a rank, not a gain."""
    similarities, truth = mixed(0, graded=graded, **({} if junk else {"junk": None}))
    if way == "torch" and memory_bytes == 1:
        memory_bytes = 2_000_000

    actual = ranks_by(way, similarities, truth, memory_bytes)

    expected = ranks_by("numpy", similarities, truth)
    np.testing.assert_array_equal(actual.ranks, expected.ranks)
    np.testing.assert_array_equal(actual.starts, expected.starts)
    if graded:
        np.testing.assert_array_equal(actual.gains, expected.gains)
        np.testing.assert_array_equal(actual.grades.values, expected.grades.values)


@pytest.mark.parametrize("way", ["one thread", "three threads"])
@pytest.mark.parametrize("side", [8, 16, 24])
@pytest.mark.parametrize("symmetric", [True, False])
def test_tiles_of_any_size(way, side, symmetric, monkeypatch):
    """On the diagonal and beside it, whole and cut off, of rows and of columns."""
    monkeypatch.setattr(tiles, "_SIDE", side)
    vectors, labels = clustered(45, 5, 4, seed=7)
    truth = full_base(labels) if symmetric else query_set(labels[:20], labels[20:])
    similarities = Similarities.of(vectors, truth, "l2")

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)


@pytest.mark.parametrize("way", WAYS)
def test_equal_items_of_different_gain_are_in_the_order_of_their_ids(way):
    """Which of two relevant items is first decides what is collected."""
    truth = query_set([("a", "b")], [("a",), ("a", "b"), ("a",), ("a", "b")])
    truth = replace(truth, graded=True)
    similarities = Similarities.of(np.ones((5, 3), np.float32), truth, "cosine")

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == [[1, 2, 3, 4]]
    assert actual.gains.tolist() == [0.5, 1.0, 0.5, 1.0]


@pytest.mark.parametrize("way", WAYS)
def test_gains_stand_at_the_ranks_of_their_items(way):
    """The last item, which shares both labels, is the first result: its gain is collected there."""
    truth = query_set([("a", "b")], [("a",), ("c",), ("a", "b")])
    vectors = np.array([[1, 0], [1, 0], [2, 0], [3, 0]], np.float32)
    truth = replace(truth, graded=True)

    actual = ranks_by(way, Similarities.of(vectors, truth, "ip"), truth)

    assert ranks_of(actual) == [[1, 3]]
    assert actual.gains.tolist() == [1.0, 0.5]
    assert actual.grades.values.tolist() == [1.0, 0.5]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_junk_takes_no_rank(way):
    """Neither where it is wrong nor where it would be relevant."""
    truth = query_set(["a"], ["b", "a", "b", "a"])
    truth = replace(truth, junk=ItemLists.of([[0, 1]]))
    vectors = np.array([[1], [5], [4], [3], [2]], np.float32)

    actual = ranks_by(way, Similarities.of(vectors, truth, "ip"), truth)

    assert ranks_of(actual) == [[2]]
    assert actual.n_relevant.tolist() == [1]


@pytest.mark.parametrize("n_classes", [4, 1])
@pytest.mark.parametrize("space", SPACES)
def test_classes_of_hundreds(n_classes, space):
    """More relevant items than a table of bytes can tell apart, and more cells for them."""
    vectors, labels = clustered(700, 6, n_classes, seed=3)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, space)

    actual = ranks_by("one thread", similarities, truth)

    np.testing.assert_array_equal(actual.ranks, ranks_by("numpy", similarities, truth).ranks)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1e-22, 1e-12, 1e15])
@pytest.mark.parametrize("space", ["ip", "l2"])
def test_vectors_of_any_length(way, length, space):
    """Products that underflow or nearly overflow are in the order of the true similarities."""
    vectors, labels = clustered(60, 5, 4, seed=4)
    vectors = (vectors * length).astype(np.float32)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, space)

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)


@pytest.mark.parametrize("kind", ["judged", "junk"])
def test_relevance_that_is_not_mutual_is_not_taken_for_it(kind):
    """Half of the product would give queries the ranks of what they are relevant to."""
    vectors, labels = clustered(40, 5, 4, seed=5)
    truth = full_base(labels)
    one_way = replace(truth, **{kind: ItemLists.of([[(q + 1) % 40] for q in range(40)])})
    similarities = Similarities.of(vectors, truth, "cosine")

    actual = ranks_by("one thread", similarities, one_way)

    assert truth.symmetric
    assert not one_way.symmetric
    assert ranks_of(actual) == ranks_of(ranks_by("numpy", similarities, one_way))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", ["ip", "l2"])
def test_queries_of_a_quantised_base_are_not_quantised(space, way):
    """Leave-one-out against vectors that lost something: a product of two items serves one query only."""
    vectors, labels = clustered(40, 5, 6, seed=4)
    truth = full_base(labels)
    similarities = Similarities(queries=vectors, base=np.rint(vectors), space=space)

    actual = ranks_by(way, similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)


def test_a_block_is_transposed_whole():
    """Squares of eight, and what is left over at both edges."""
    for shape in [(8, 8), (16, 24), (9, 8), (8, 9), (19, 21), (3, 5), (1, 17)]:
        block = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        out = np.empty(shape[::-1], np.float32)

        kernels.transpose(block, out)

        np.testing.assert_array_equal(out, block.T)


def test_too_many_relevant_items_for_the_kernels_are_counted_plainly(monkeypatch):
    """A class of 40,000 has a value, too."""
    vectors, labels = clustered(50, 4, 2, seed=6)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, "cosine")
    expected = complete_ranks(similarities, truth, device="cpu")
    monkeypatch.setattr(kernels, "MOST_THRESHOLDS", 5)

    actual = complete_ranks(similarities, truth, device="cpu")

    assert tiles.takes_too_many(truth)
    np.testing.assert_array_equal(actual.ranks, expected.ranks)


@pytest.mark.parametrize("way", WAYS)
def test_progress_ends_at_one(way):
    """Or nobody knows when it is done."""
    similarities, truth = mixed(1)
    seen = []

    list(
        WAYS[way](
            similarities, truth, ordered=True, memory_bytes=5_000_000, on_progress=seen.append
        )
    )

    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 1


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_caller_ends_the_counting(way):
    """Ctrl-C arrives in the main thread: the others stop, and the error is not lost."""
    similarities, truth = mixed(2)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(
            WAYS[way](similarities, truth, ordered=False, memory_bytes=5_000_000, on_progress=stop)
        )


def test_little_work_compiles_nothing(monkeypatch):
    """Loading compiled loops takes longer than ranking a few hundred items."""
    vectors, labels = clustered(30, 4, 2, seed=0)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, "cosine")
    names = []
    for n_pairs in (901, 900):
        monkeypatch.setattr(complete, "_COMPILED_FROM", n_pairs)
        names.append(complete._way(similarities, truth, "auto").__name__)

    assert names == ["ranked_plainly", "ranked_in_tiles"]


def test_cuda_is_used_for_much_work_where_it_is_there(monkeypatch):
    """And only there."""
    vectors, labels = clustered(30, 4, 2, seed=0)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, "cosine")
    monkeypatch.setattr(complete, "_CUDA_FROM", 900)
    monkeypatch.setattr(complete, "_COMPILED_FROM", 900)
    names = []
    for there in (True, False):
        monkeypatch.setattr(complete, "_has_cuda", lambda there=there: there)
        names.append(complete._way(similarities, truth, "auto").__name__)

    assert names == ["ranked_on_device", "ranked_in_tiles"]


def test_a_missing_device_is_named(monkeypatch):
    """Whoever asks for a GPU wants to know that it is not there."""
    monkeypatch.setattr(complete, "_has_cuda", lambda: False)
    vectors, labels = clustered(30, 4, 2, seed=0)
    truth = full_base(labels)

    with pytest.raises(SettingError, match="no CUDA device"):
        complete_ranks(Similarities.of(vectors, truth, "ip"), truth, device="cuda")


def test_torch_computes_in_full_float32_and_leaves_its_setting_alone(monkeypatch):
    """In TF32 the bound on rounding errors would be a lie."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    asked = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    similarities, truth = mixed(3)

    ranks_by("torch", similarities, truth)

    assert asked == ["highest", "high"]


@pytest.mark.parametrize("per_query", [0, 1, 3, 700_000, 2_000_000])
def test_an_answer_is_scored_in_pieces_that_fit_memory(per_query):
    """Neither millions of ranks at once nor millions of queries; and every query once."""
    starts = np.arange(200_001 if per_query < 4 else 4) * per_query
    whole = Ranked(slice(0, len(starts) - 1), starts, np.empty(0, np.int64), None)

    actual = list(complete.pieces(whole))

    assert [piece.start for piece in actual] == [0, *(piece.stop for piece in actual[:-1])]
    assert actual[-1].stop == len(starts) - 1
    assert max(piece.stop - piece.start for piece in actual) <= 1 << 16
    assert all(
        piece.stop - piece.start == 1 or starts[piece.stop] - starts[piece.start] <= 1 << 20
        for piece in actual
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("space", ["ip", "l2"])
def test_what_float32_puts_in_the_wrong_order(space, way):
    """Near-duplicates: their products differ, by less than rounding errors, and often the wrong way."""
    random = np.random.default_rng(0)
    one = random.standard_normal(48)
    vectors = (one + 1e-7 * random.standard_normal((45, 48))).astype(np.float32)
    truth = query_set(["a"] * 5, random.choice(list("ab"), 40).tolist())
    similarities = Similarities.of(vectors, truth, space)
    for rows, block in similarities.blocks(5):
        exact = [similarities.exact(np.full(40, q), np.arange(40)) for q in range(5)[rows]]
        by_float64 = np.take_along_axis(block, np.argsort(exact, axis=1), axis=1)
        assert (np.diff(by_float64, axis=1) < 0).any()

    assert ranks_of(ranks_by(way, similarities, truth)) == expected_ranks(similarities, truth)
