"""Complete rankings are those of exact arithmetic, whatever the vectors, blocks and labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import exact_search

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.metrics.complete import complete_ranks
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities

# Eighths: products and sums are exact in float64, so that every tie is a true one.
whole_eighths = st.integers(-24, 24).map(lambda n: n / 8)
nearly_equal = st.integers(0, 30).map(lambda n: 1 + n * 2.0**-23)


@st.composite
def searches(draw):
    """Draw (similarities, truth) of up to 12 items with one to three labels each."""
    n = draw(st.integers(2, 12))
    values = draw(st.sampled_from([whole_eighths, nearly_equal]))
    vectors = draw(arrays(np.float32, (n, draw(st.integers(1, 3))), elements=values))
    label_sets = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3)
    labels = LabelSets.of([tuple(draw(label_sets)) for _ in range(n)])
    rows = np.arange(n)
    queries = rows if draw(st.booleans()) else rows[: n // 2]
    base = rows if len(queries) == n else rows[n // 2 :]
    truth = GroundTruth(
        query_rows=queries,
        base_rows=base,
        query_labels=labels.take(queries),
        base_labels=labels.take(base),
        self_ids=queries if len(queries) == n else np.full(len(queries), -1),
    )
    return Similarities.of(vectors, truth, draw(st.sampled_from(["ip", "l2"]))), truth


@given(search=searches(), block_bytes=st.sampled_from([1, 500, 1 << 20]))
def test_ranks_are_exact(search, block_bytes):
    """Ties by id; differences below the resolution of float32 are no ties."""
    similarities, truth = search

    actual = complete_ranks(similarities, truth, memory_bytes=block_bytes)

    for q, own in enumerate(truth.self_ids):
        relevant = set(np.flatnonzero(truth.relevant(q)).tolist())
        expected = exact_search.positive_ranks(
            similarities.queries[q], similarities.base, similarities.space, relevant, own
        )
        assert actual.ranks[actual.starts[q] : actual.starts[q + 1]].tolist() == expected


@given(search=searches(), k=st.integers(1, 6))
def test_neighbours_are_exact(search, k):
    """The first of the same ranking."""
    similarities, truth = search

    actual = exact_neighbours(similarities, truth.self_ids, k)

    for q, own in enumerate(truth.self_ids):
        expected = exact_search.ranking(
            similarities.queries[q], similarities.base, similarities.space, own
        )[:k]
        assert actual.ids[q][actual.ids[q] >= 0].tolist() == expected


@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
@given(seed=st.integers(0, 50), block_bytes=st.integers(1, 20_000))
def test_blocks_of_any_size_give_identical_ranks(space, seed, block_bytes):
    """On vectors as models make them, with near-duplicates in the base."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(random.standard_normal((20, 19)), 2, axis=0).astype(np.float32)
    vectors[1::4] *= np.float32(1 + 2.0**-22)
    labels = LabelSets.of(random.choice(list("abc"), 40).tolist())
    rows = np.arange(40)
    truth = GroundTruth(
        query_rows=rows, base_rows=rows, query_labels=labels, base_labels=labels, self_ids=rows
    )
    similarities = Similarities.of(vectors, truth, space)

    actual = complete_ranks(similarities, truth, memory_bytes=block_bytes)

    np.testing.assert_array_equal(actual.ranks, complete_ranks(similarities, truth).ranks)
