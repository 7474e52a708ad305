"""Promises that hold for every ranking there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import metrics_in_fractions

from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.metrics.curves import cmc_curve, precision_recall_curve
from cbir_bench.metrics.names import MetricName

OF_GAINS = ["ndcg@4", "ndcg_exp@4", "err@4", "ndcg", "ndcg_exp", "err"]
ANY_RANKING = [
    "ap@4",
    "ap_min@3",
    "precision@3",
    "recall@4",
    "hit_rate@2",
    "mrr@5",
    "ndcg@4",
    "ndcg_exp@5",
    "err@4",
    "oxford_ap@4",
    "oxford_precision@4",
    "knn_recall@3",
]
COMPLETE = [
    "ap",
    "map_at_r",
    "r_precision",
    "mrr",
    "minp",
    "ndcg",
    "ndcg_exp",
    "err",
    "oxford_ap",
    "ap_11pt",
    "ap_101pt",
]
RISES = [name for name in ANY_RANKING + COMPLETE if name != "knn_recall@3"]
REACHES_1 = ["ap@8", "ap_min@3", "hit_rate@2", "mrr@5", "ndcg@4", "oxford_precision@4", "recall@8"]
REACHES_1 += [name for name in COMPLETE if name != "err"]

WITHOUT_GAINS = [
    name
    for name in ANY_RANKING + COMPLETE
    if name.partition("@")[0] not in {"ndcg", "ndcg_exp", "err"}
]

hit_rows = st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=6).map(
    lambda rows: np.array(rows, bool)
)
complete_rows = hit_rows.filter(lambda hits: hits.any(axis=1).all())
gain_rows = st.lists(
    st.lists(st.sampled_from([0, 0, 0.25, 1 / 3, 0.5, 1, 3]), min_size=8, max_size=8),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array(rows, np.float64))
complete_gains = gain_rows.filter(lambda gains: gains.any(axis=1).all())


def complete(hits):
    """Return the ranks of rankings that show the whole base."""
    return PositiveRanks.from_hits(hits, hits.sum(axis=1)).completed()


def graded(gains, missed=None):
    """Return the ranks and gains of rankings that show all but the missed relevant items."""
    missed = [[] for _ in gains] if missed is None else missed
    everything = [
        sorted([*row[row > 0], *more], reverse=True)
        for row, more in zip(gains, missed, strict=True)
    ]
    counts = np.array([len(row) for row in everything])
    grades = Grades(
        values=np.array([g for row in everything for g in row], np.float64),
        starts=np.concatenate([[0], np.cumsum(counts)]),
        highest=3.0,
    )
    ranks = PositiveRanks.from_hits(gains > 0, counts, gains=gains, grades=grades)
    return ranks if any(missed) else ranks.completed()


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
            whole = [*row.tolist(), *[True] * missed[query]]
            expected = metrics_in_fractions.by_name(name, whole, int(n_relevant[query]))
            assert actual[query] == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize("name", COMPLETE)
@given(hits=complete_rows)
def test_a_complete_ranking_equals_the_definition_in_fractions(name, hits):
    """The same, where every relevant item has a rank."""
    actual = scores(name, complete(hits))

    expected = [metrics_in_fractions.by_name(name, row.tolist(), int(row.sum())) for row in hits]
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in OF_GAINS if "@" in name])
@given(gains=gain_rows, data=st.data())
def test_graded_metrics_equal_their_definition(name, gains, data):
    """Some relevant items are not found; the ideal order has them all the same."""
    some = st.lists(st.sampled_from([0.25, 0.5, 3.0]), max_size=3)
    missed = data.draw(st.lists(some, min_size=len(gains), max_size=len(gains)))
    ranks = graded(gains, missed)

    actual = scores(name, ranks)

    for query, row in enumerate(gains):
        everything = [*row[row > 0].tolist(), *missed[query]]
        if not everything:
            assert np.isnan(actual[query])
        else:
            expected = metrics_in_fractions.by_name(
                name,
                (row > 0).tolist(),
                len(everything),
                gains=row.tolist(),
                all_gains=everything,
                highest=3,
            )
            assert actual[query] == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize("name", [name for name in OF_GAINS if "@" not in name])
@given(gains=complete_gains)
def test_graded_metrics_of_complete_rankings_equal_their_definition(name, gains):
    """The same without a cutoff."""
    actual = scores(name, graded(gains))

    expected = [
        metrics_in_fractions.by_name(
            name,
            (row > 0).tolist(),
            int((row > 0).sum()),
            gains=row.tolist(),
            all_gains=row[row > 0].tolist(),
            highest=3,
        )
        for row in gains
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-13)


@pytest.mark.parametrize("name", WITHOUT_GAINS)
@given(gains=complete_gains)
def test_metrics_without_grades_take_any_gain_for_relevant(name, gains):
    """However little: 0 alone is not relevant."""
    np.testing.assert_array_equal(scores(name, graded(gains)), scores(name, complete(gains > 0)))


@pytest.mark.parametrize("name", ["ndcg@4", "ndcg_exp@4", "ndcg", "ndcg_exp"])
@given(hits=complete_rows, gain=st.sampled_from([0.25, 1.0, 3.0]))
def test_equal_gains_are_no_gains(name, hits, gain):
    """Normalised gains have no unit."""
    actual = scores(name, graded(hits * gain))

    np.testing.assert_allclose(actual, scores(name, complete(hits)), rtol=1e-14)


@given(gains=complete_gains)
def test_gains_of_0_and_1_make_both_kinds_of_ndcg_one(gains):
    """2^1 - 1 is 1, so that only the middle grades tell linear from exponential gain."""
    ranks = graded((gains > 0).astype(np.float64))

    np.testing.assert_array_equal(scores("ndcg_exp", ranks), scores("ndcg", ranks))


@pytest.mark.parametrize("name", OF_GAINS)
@given(gains=complete_gains)
def test_the_order_of_gains_is_the_best_order(name, gains):
    """No ranking of the same items is better than that with the best first."""
    ideal = -np.sort(-gains, axis=1)

    actual = scores(name, graded(gains))

    assert (actual <= scores(name, graded(ideal)) + 1e-15).all()
    if name.startswith("ndcg"):
        assert scores(name, graded(ideal)).tolist() == [1.0] * len(gains)


@pytest.mark.parametrize("name", OF_GAINS)
@given(gains=complete_gains, place=st.integers(1, 7))
def test_a_better_item_that_moves_up_never_lowers_a_value(name, gains, place):
    """Two neighbours change places, of which the lower one is more relevant."""
    assume(gains[0, place] > gains[0, place - 1])
    better = gains.copy()
    better[0, [place - 1, place]] = gains[0, [place, place - 1]]

    before, after = scores(name, graded(gains)), scores(name, graded(better))

    assert after[0] >= before[0] - 1e-15
    assert after[1:].tolist() == before[1:].tolist()


@pytest.mark.parametrize("name", ANY_RANKING + COMPLETE)
@given(hits=hit_rows)
def test_values_lie_between_0_and_1(name, hits):
    """Exactly: no rounding above 1."""
    actual = scores(name, complete(hits))

    assert np.isnan(actual).tolist() == (~hits.any(axis=1)).tolist()
    assert ((actual[hits.any(axis=1)] >= 0) & (actual[hits.any(axis=1)] <= 1)).all()


@pytest.mark.parametrize("name", REACHES_1)
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


@pytest.mark.parametrize("name", ["ap", "ndcg", "ndcg_exp", "err", "oxford_ap"])
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
@given(gains=gain_rows, data=st.data())
def test_queries_do_not_know_each_other(name, gains, data):
    """Another order of queries, or fewer of them, gives the same values to the last bit."""
    order = data.draw(st.permutations(range(len(gains))))
    some = np.array(order[: data.draw(st.integers(1, len(order)))])

    for ranks in (graded, lambda rows: complete(rows > 0)):
        actual = scores(name, ranks(gains[some]))

        np.testing.assert_array_equal(actual, scores(name, ranks(gains))[some])


@pytest.mark.parametrize("name", ANY_RANKING)
@given(hits=hit_rows)
def test_a_deeper_ranking_changes_no_value_at_k(name, hits):
    """What lies below the cutoff was never looked at."""
    n_relevant = hits.sum(axis=1)
    k = MetricName.parse(name).k

    cut = PositiveRanks.from_hits(hits[:, :k], n_relevant)

    np.testing.assert_array_equal(scores(name, cut), scores(name, complete(hits)))


@pytest.mark.parametrize("name", ANY_RANKING + COMPLETE)
@given(gains=gain_rows, n_more=st.integers(1, 4))
def test_a_tail_of_wrong_items_changes_nothing(name, gains, n_more):
    """Nor does padding, where an index found less."""
    longer = np.hstack([gains, np.zeros((len(gains), n_more))])

    np.testing.assert_array_equal(scores(name, graded(longer)), scores(name, graded(gains)))


@given(hits=complete_rows, removed=st.lists(st.booleans(), min_size=8, max_size=8))
def test_what_is_removed_might_as_well_not_be_there(hits, removed):
    """Junk is neither right nor wrong: all below it moves up."""
    junk = np.array(removed)
    assume(not junk.all())
    kept = hits & ~junk
    ranks = PositiveRanks.from_hits(kept, kept.sum(axis=1), removed=np.tile(junk, (len(hits), 1)))

    without = PositiveRanks.from_hits(hits[:, ~junk], kept.sum(axis=1))

    assert ranks.depth == without.depth == 8 - junk.sum()
    assert ranks.ranks.tolist() == without.ranks.tolist()
    assert ranks.starts.tolist() == without.starts.tolist()


@given(hits=complete_rows)
def test_metrics_that_must_agree_do(hits):
    """Relations between definitions: each would show a slip in one of them."""
    ranks = complete(hits)
    n_relevant = hits.sum(axis=1)

    assert (scores("map_at_r", ranks) <= scores("r_precision", ranks)).all()
    assert (scores("map_at_r", ranks) <= scores("ap", ranks)).all()
    assert (scores("oxford_ap", ranks) <= scores("ap", ranks) + 1e-15).all()
    assert (scores("ap_11pt", ranks) >= scores("minp", ranks) - 1e-15).all()
    assert (scores("precision@4", ranks) <= scores("oxford_precision@4", ranks)).all()
    assert (scores("hit_rate@4", ranks) >= scores("recall@4", ranks)).all()
    assert (scores("ap_min@4", ranks) >= scores("ap@4", ranks)).all()
    np.testing.assert_array_equal(scores("precision@1", ranks), scores("hit_rate@1", ranks))
    np.testing.assert_array_equal(scores("ap@8", ranks), scores("ap", ranks))
    np.testing.assert_array_equal(scores("ap_min@8", ranks), scores("ap", ranks))
    np.testing.assert_array_equal(scores("oxford_ap@8", ranks), scores("oxford_ap", ranks))
    np.testing.assert_array_equal(scores("err@8", ranks), scores("err", ranks))
    np.testing.assert_array_equal(scores("ndcg@8", ranks), scores("ndcg", ranks))
    np.testing.assert_array_equal(scores("ndcg_exp@8", ranks), scores("ndcg", ranks))
    np.testing.assert_allclose(
        scores("precision@4", ranks) * 4, scores("recall@4", ranks) * n_relevant
    )


@given(hits=hit_rows)
def test_curves_are_their_metrics_side_by_side(hits):
    """Per query, and NaN for the same queries."""
    ranks = complete(hits)

    cmc, recall = cmc_curve(ranks, 8), precision_recall_curve(ranks, 101)

    for k in range(1, 9):
        np.testing.assert_array_equal(cmc.per_query[:, k - 1], scores(f"hit_rate@{k}", ranks))
    np.testing.assert_allclose(recall.per_query.mean(axis=1), scores("ap_101pt", ranks), rtol=1e-13)


@given(hits=complete_rows)
def test_curves_go_one_way(hits):
    """More ranks never hide a hit; more recall never costs nothing."""
    ranks = complete(hits)

    assert (np.diff(cmc_curve(ranks, 8).per_query) >= 0).all()
    assert (np.diff(precision_recall_curve(ranks).per_query) <= 0).all()
