"""Whatever a protocol says: the ranks from vectors are those of the full list with junk crossed out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.protocols.truth import apart, leave_one_out

NAMES = ("ap", "map_at_r", "r_precision", "mrr", "ndcg", "precision@2")


@st.composite
def truths(draw):
    """Draw a truth of either protocol with cameras, groups, grades or lists, and its vectors."""
    n = draw(st.integers(2, 12))
    labels = LabelSets.of(
        draw(
            st.lists(
                st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
                min_size=n,
                max_size=n,
            )
        )
    )
    codes = st.lists(st.integers(-1, 2), min_size=n, max_size=n).map(np.array)
    cameras, groups = draw(st.none() | codes), draw(st.none() | codes)
    graded = draw(st.booleans())
    # Few different vectors, so that similarities tie.
    vectors = np.eye(3, dtype=np.float32)[draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))]
    if draw(st.booleans()):
        return leave_one_out(labels, cameras=cameras, groups=groups, graded=graded), vectors
    side = draw(st.integers(1, n - 1))
    mine, theirs = np.arange(side), np.arange(side, n)
    truth = apart(
        labels.take(mine),
        labels.take(theirs),
        query_cameras=None if cameras is None else cameras[mine],
        base_cameras=None if cameras is None else cameras[theirs],
        query_groups=None if groups is None else groups[mine],
        base_groups=None if groups is None else groups[theirs],
        graded=graded,
    )
    if draw(st.booleans()):
        listed = st.lists(st.sets(st.sampled_from(range(n - side))), min_size=side, max_size=side)
        truth = replace(truth, judged=ItemLists.of(map(sorted, draw(listed))), graded=False)
    return truth, vectors


@given(drawn=truths())
def test_complete_rankings_honour_the_protocol(drawn):
    """The exact index and the path without any index must give the same numbers."""
    truth, vectors = drawn
    similarities = Similarities.of(vectors, truth, "cosine")
    scores = similarities.queries.astype(np.float64) @ similarities.base.T
    ids = np.argsort(-scores, axis=1, kind="stable")
    ranks = truth.positives(ids)

    actual = complete_quotients(NAMES, similarities, truth)

    assert ranks.depth is None
    for name in NAMES:
        expected = MetricName.parse(name).quotients(ranks)
        np.testing.assert_allclose(actual[name].scores, expected.scores, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(actual[name].denominator, expected.denominator, atol=1e-12)
