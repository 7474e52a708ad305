"""Ranks in complete rankings equal those of a ranking written out in exact fractions."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import exact_search
from unit.metrics.builders import clustered, full_base, query_set

from cbir_bench.core.arrays import unit_rows
from cbir_bench.metrics.complete import complete_blocks, complete_quotients, complete_ranks
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


@pytest.mark.parametrize("space", SPACES)
def test_leave_one_out(space):
    """Every item against all others."""
    vectors, labels = clustered(40, 5, 6, seed=0)
    truth = full_base(labels)
    similarities = Similarities.of(vectors, truth, space)

    actual = complete_ranks(similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert actual.n_relevant.tolist() == truth.n_relevant.tolist()
    assert actual.depth is None


@pytest.mark.parametrize("space", SPACES)
def test_a_query_set(space):
    """Queries apart from the base; one of them has nothing relevant."""
    vectors, labels = clustered(40, 5, 6, seed=1)
    truth = query_set(["none", *labels[1:10]], labels[10:])
    similarities = Similarities.of(vectors, truth, space)

    actual = complete_ranks(similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert ranks_of(actual)[0] == []


@pytest.mark.parametrize("space", SPACES)
def test_several_labels_per_item(space):
    """An item that shares two labels with a query is one relevant item, not two."""
    vectors, _ = clustered(30, 5, 6, seed=2)
    random = np.random.default_rng(0)
    labels = [random.choice(list("abcdef"), random.integers(1, 4), replace=False) for _ in vectors]
    truth = full_base([tuple(map(str, one)) for one in labels])
    similarities = Similarities.of(vectors, truth, space)

    actual = complete_ranks(similarities, truth)

    assert ranks_of(actual) == expected_ranks(similarities, truth)
    assert np.diff(actual.starts).tolist() == truth.n_relevant.tolist()


@pytest.mark.parametrize("space", ["ip", "l2"])
def test_vectors_full_of_ties(space):
    """Small whole numbers: most pairs tie exactly, and id decides."""
    random = np.random.default_rng(0)
    vectors = random.integers(-1, 2, (40, 3)).astype(np.float32)
    truth = full_base(random.choice(list("abc"), 40).tolist())
    similarities = Similarities.of(vectors, truth, space)

    assert ranks_of(complete_ranks(similarities, truth)) == expected_ranks(similarities, truth)


@pytest.mark.parametrize("space", ["ip", "l2"])
def test_differences_below_the_last_bit_of_float32(space):
    """The float32 product cannot order these; the float64 one does."""
    random = np.random.default_rng(0)
    steps = random.permutation(40) * 2.0**-22
    steps[:5] = 1
    vectors = np.stack([np.full(40, 1000.0), steps, np.ones(40)], 1).astype(np.float32)
    truth = query_set(["a"] * 5, random.choice(list("ab"), 35).tolist())
    similarities = Similarities.of(vectors, truth, space)

    assert ranks_of(complete_ranks(similarities, truth)) == expected_ranks(similarities, truth)


def test_all_items_the_same():
    """A model that has collapsed: every similarity is a tie, and memory stays bounded."""
    truth = full_base(["a", "b"] * 50)
    similarities = Similarities.of(np.ones((100, 4), np.float32), truth, "cosine")

    actual = complete_ranks(similarities, truth)

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
