"""Promises that hold for every ranking there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import metrics_in_fractions

from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.names import MetricName

ANY_RANKING = ["ap@4", "precision@3", "recall@4", "hit_rate@2", "mrr@5", "ndcg@4", "knn_recall@3"]
COMPLETE = ["ap", "map_at_r", "r_precision", "mrr", "ndcg"]
RISES = [name for name in ANY_RANKING + COMPLETE if name != "knn_recall@3"]

hit_rows = st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=6).map(
    lambda rows: np.array(rows, bool)
)
complete_rows = hit_rows.filter(lambda hits: hits.any(axis=1).all())


def complete(hits):
    """Return the ranks of rankings that show the whole base."""
    cut = PositiveRanks.from_hits(hits, hits.sum(axis=1))
    return PositiveRanks(ranks=cut.ranks, starts=cut.starts, n_relevant=cut.n_relevant, depth=None)


def scores(name, ranks):
    return MetricName.parse(name).scores(ranks)


@pytest.mark.parametrize("name", ANY_RANKING)
@given(hits=hit_rows, data=st.data())
def test_a_cut_ranking_equals_the_definition_in_fractions(name, hits, data):
    """A loop over one query, and a vectorised sum over all of them."""
    missed = data.draw(st.lists(st.integers(0, 5), min_size=len(hits), max_size=len(hits)))
    n_relevant = hits.sum(axis=1) + np.array(missed)
    ranks = PositiveRanks.from_hits(hits, n_relevant)

    actual = scores(name, ranks)

    for query, row in enumerate(hits):
        if n_relevant[query] == 0:
            assert np.isnan(actual[query])
        else:
            expected = metrics_in_fractions.by_name(name, row.tolist(), int(n_relevant[query]))
            assert actual[query] == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize("name", COMPLETE)
@given(hits=complete_rows)
def test_a_complete_ranking_equals_the_definition_in_fractions(name, hits):
    """The same, where every relevant item has a rank."""
    actual = scores(name, complete(hits))

    expected = [metrics_in_fractions.by_name(name, row.tolist(), int(row.sum())) for row in hits]
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


@pytest.mark.parametrize("name", ANY_RANKING + COMPLETE)
@given(hits=hit_rows)
def test_values_lie_between_0_and_1(name, hits):
    """Exactly: no rounding above 1."""
    actual = scores(name, complete(hits))

    assert np.isnan(actual).tolist() == (~hits.any(axis=1)).tolist()
    assert ((actual[hits.any(axis=1)] >= 0) & (actual[hits.any(axis=1)] <= 1)).all()


@pytest.mark.parametrize("name", [*COMPLETE, "ap@8", "hit_rate@2", "mrr@5", "ndcg@4", "recall@8"])
@given(n_relevant=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_the_ideal_order_is_exactly_1(name, n_relevant):
    """All relevant items first."""
    hits = np.arange(8) < np.array(n_relevant)[:, None]

    assert scores(name, complete(hits)).tolist() == [1.0] * len(n_relevant)


@pytest.mark.parametrize("name", RISES)
@given(hits=complete_rows, data=st.data())
def test_a_hit_that_moves_up_never_lowers_a_value(name, hits, data):
    """One place up, past an item that is not relevant."""
    query = data.draw(st.integers(0, len(hits) - 1))
    places = np.flatnonzero(hits[query, 1:] & ~hits[query, :-1]) + 1
    assume(len(places))
    place = data.draw(st.sampled_from(places.tolist()))
    better = hits.copy()
    better[query, [place - 1, place]] = True, False

    before, after = scores(name, complete(hits)), scores(name, complete(better))

    assert after[query] >= before[query]
    assert np.delete(after, query).tolist() == np.delete(before, query).tolist()


@pytest.mark.parametrize("name", ["ap", "ndcg"])
@given(hits=complete_rows, data=st.data())
def test_a_hit_that_moves_up_raises_the_metrics_that_look_at_all_ranks(name, hits, data):
    """They tell any two orders of different quality apart."""
    places = np.flatnonzero(hits[0, 1:] & ~hits[0, :-1]) + 1
    assume(len(places))
    place = data.draw(st.sampled_from(places.tolist()))
    better = hits.copy()
    better[0, [place - 1, place]] = True, False

    assert scores(name, complete(better))[0] > scores(name, complete(hits))[0]


@pytest.mark.parametrize("name", ANY_RANKING + COMPLETE)
@given(hits=hit_rows, data=st.data())
def test_queries_do_not_know_each_other(name, hits, data):
    """Another order of queries, or fewer of them, gives the same values to the last bit."""
    order = data.draw(st.permutations(range(len(hits))))
    some = np.array(order[: data.draw(st.integers(1, len(order)))])

    actual = scores(name, complete(hits[some]))

    np.testing.assert_array_equal(actual, scores(name, complete(hits))[some])


@pytest.mark.parametrize("name", ANY_RANKING)
@given(hits=hit_rows)
def test_a_deeper_ranking_changes_no_value_at_k(name, hits):
    """What lies below the cutoff was never looked at."""
    n_relevant = hits.sum(axis=1)
    k = MetricName.parse(name).k

    cut = PositiveRanks.from_hits(hits[:, :k], n_relevant)

    np.testing.assert_array_equal(scores(name, cut), scores(name, complete(hits)))


@given(hits=complete_rows)
def test_metrics_that_must_agree_do(hits):
    """Relations between definitions: each would show a slip in one of them."""
    ranks = complete(hits)

    assert (scores("map_at_r", ranks) <= scores("r_precision", ranks)).all()
    assert (scores("map_at_r", ranks) <= scores("ap", ranks)).all()
    assert (scores("hit_rate@4", ranks) >= scores("recall@4", ranks)).all()
    np.testing.assert_array_equal(scores("precision@1", ranks), scores("hit_rate@1", ranks))
    np.testing.assert_array_equal(scores("ap@8", ranks), scores("ap", ranks))
    np.testing.assert_array_equal(scores("ndcg@8", ranks), scores("ndcg", ranks))
    np.testing.assert_allclose(
        scores("precision@4", ranks) * 4, scores("recall@4", ranks) * hits.sum(axis=1)
    )
