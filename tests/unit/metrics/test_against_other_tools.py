"""The community's own programs give the same numbers, where their definition is the same."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from oracles import junk_by_loops
from unit.metrics.builders import clustered, full_base

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.curves import cmc_curve, precision_recall_curve
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.similarity import Similarities

DEPTH, N_BASE, N_QUERIES = 30, 60, 80


@pytest.fixture(scope="module")
def gains():
    """Return (n_queries, N_BASE) whole gains from 0 to 4 in random complete rankings."""
    random = np.random.default_rng(11)
    n_relevant = random.integers(1, 25, N_QUERIES)
    values = random.integers(1, 5, (N_QUERIES, N_BASE)) * (np.arange(N_BASE) < n_relevant[:, None])
    return random.permuted(values, axis=1)


def binary(gains):
    """Return the ranks of the relevant items among the first results."""
    return PositiveRanks.from_hits(gains[:, :DEPTH] > 0, (gains > 0).sum(1))


def graded(gains):
    """Return the same with their gains."""
    lists = ItemLists.of(
        [np.flatnonzero(row) for row in gains], [row[row > 0].astype(float) for row in gains]
    )
    return PositiveRanks.from_hits(
        gains[:, :DEPTH] > 0,
        lists.counts,
        gains=gains[:, :DEPTH].astype(float),
        grades=Grades.of(lists, highest=4.0),
    )


def by_ir_measures(names, gains):
    """Return (n_queries,) values of each measure; integer scores made from ranks keep ties out."""
    import ir_measures

    run = [
        ir_measures.ScoredDoc(str(query), f"d{place}", float(N_BASE - place))
        for query in range(len(gains))
        for place in range(DEPTH)
    ]
    qrels = [
        ir_measures.Qrel(str(query), f"d{place}", int(gain))
        for query, row in enumerate(gains)
        for place, gain in enumerate(row)
    ]
    measures = {name: ir_measures.parse_measure(name) for name in names}
    found = {
        (result.measure, int(result.query_id)): result.value
        for result in ir_measures.iter_calc([*measures.values()], qrels, run)
    }
    return {
        name: np.array([found[measure, query] for query in range(len(gains))])
        for name, measure in measures.items()
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ap@30", "AP"),
        ("ap@20", "AP@20"),
        ("precision@7", "P@7"),
        ("recall@15", "R@15"),
        ("hit_rate@3", "Success@3"),
        ("r_precision", "Rprec"),
        ("mrr@30", "RR"),
        ("ndcg@10", "nDCG@10"),
        ("ndcg@30", "nDCG@30"),
    ],
)
def test_trec_eval_agrees(gains, ours, theirs):
    """trec_eval, through ir_measures, on lists that lack some of the relevant items."""
    expected = by_ir_measures([theirs], (gains > 0).astype(int))[theirs]

    np.testing.assert_allclose(MetricName.parse(ours).scores(binary(gains)), expected, atol=1e-6)


def test_trec_eval_agrees_on_gains(gains):
    """Whole ones, which is all that it takes."""
    expected = by_ir_measures(["nDCG@10", "P@5", "AP@20"], gains)

    for ours, theirs in (("ndcg@10", "nDCG@10"), ("precision@5", "P@5"), ("ap@20", "AP@20")):
        actual = MetricName.parse(ours).scores(graded(gains))
        np.testing.assert_allclose(actual, expected[theirs], atol=1e-6)


def test_gdeval_agrees_on_exponential_gain_and_expected_reciprocal_rank(gains):
    """TREC's own script for them, in Perl, through ir_measures; it prints five digits."""
    ir_measures = pytest.importorskip("ir_measures")
    if not ir_measures.gdeval.is_available():
        pytest.skip("gdeval needs perl")

    expected = by_ir_measures(["ERR@10", "nDCG(dcg='exp-log2')@10"], gains)

    err, ndcg = expected.values()
    np.testing.assert_allclose(MetricName("err", 10).scores(graded(gains)), err, atol=1e-5)
    np.testing.assert_allclose(MetricName("ndcg_exp", 10).scores(graded(gains)), ndcg, atol=1e-5)


def test_trec_eval_agrees_on_interpolated_precision(gains):
    """Its `11pt_avg`, and each point of the curve."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    hits = gains > 0
    qrels = {str(q): {f"d{i}": int(hit) for i, hit in enumerate(row)} for q, row in enumerate(hits)}
    run = {str(q): {f"d{i}": float(N_BASE - i) for i in range(N_BASE)} for q in range(len(hits))}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"11pt_avg", "iprec_at_recall"})
    theirs = evaluator.evaluate(run)

    ranks = PositiveRanks.from_hits(hits, hits.sum(1)).completed()
    average = MetricName("ap_11pt").scores(ranks)
    curve = precision_recall_curve(ranks)

    for query in range(len(hits)):
        row = theirs[str(query)]
        assert average[query] == pytest.approx(row["11pt_avg"], abs=1e-6)
        points = [row[f"iprec_at_recall_{i / 10:.2f}"] for i in range(11)]
        np.testing.assert_allclose(curve.per_query[query], points, atol=1e-6)


def test_scikit_learn_agrees_on_complete_rankings(gains):
    """Average precision, nDCG with both gains, and the precision at 101 recalls."""
    from sklearn.metrics import average_precision_score, ndcg_score
    from sklearn.metrics import precision_recall_curve as curve_of_sklearn

    similarity = np.tile(np.arange(N_BASE, 0, -1.0), (len(gains), 1))
    hits = gains > 0
    ranks = PositiveRanks.from_hits(hits, hits.sum(1)).completed()

    def each(function, *columns, **options):
        return [function(*rows, **options) for rows in zip(*columns, strict=True)]

    def of_points(relevant, scores):
        precision, recall, _ = curve_of_sklearn(relevant, scores)
        levels = np.arange(101)[:, None] / 100
        return np.where(recall >= levels - 1e-9, precision, 0)[:, :-1].max(axis=1).mean()

    expected = {
        ("ap", ranks): each(average_precision_score, hits, similarity),
        ("ap_101pt", ranks): each(of_points, hits, similarity),
        ("ndcg", ranks): each(ndcg_score, hits[:, None], similarity[:, None]),
        ("ndcg@5", ranks): each(ndcg_score, hits[:, None], similarity[:, None], k=5),
        ("ndcg@20", graded(gains)): each(ndcg_score, gains[:, None], similarity[:, None], k=20),
        ("ndcg_exp@20", graded(gains)): each(
            ndcg_score, 2.0 ** gains[:, None] - 1, similarity[:, None], k=20
        ),
    }
    for (name, of), values in expected.items():
        np.testing.assert_allclose(MetricName.parse(name).scores(of), values, err_msg=name)


def test_scikit_learn_agrees_on_fractional_gains():
    """Label overlaps, which trec_eval refuses."""
    from sklearn.metrics import ndcg_score

    random = np.random.default_rng(3)
    gains = random.choice([0, 0, 1 / 3, 1 / 2, 1.0], (50, N_BASE))
    places = np.arange(N_BASE, 0, -1.0)

    actual = MetricName("ndcg", 15).scores(graded(gains))

    expected = [ndcg_score([row], [places], k=15) for row in gains]
    np.testing.assert_allclose(actual, expected)


def test_pytorch_metric_learning_agrees_on_leave_one_out():
    """From vectors to map_at_r, r_precision, ap and precision@1, a class of one item included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

        vectors, labels = clustered(200, 16, 12, seed=2)
        labels[0] = "alone"
        truth = full_base(labels)
        ours = {
            "map_at_r": "mean_average_precision_at_r",
            "r_precision": "r_precision",
            "ap": "mean_average_precision",
            "precision@1": "precision_at_1",
            "mrr": "mean_reciprocal_rank",
        }
        calculator = AccuracyCalculator(include=tuple(ours.values()), k=None)
        theirs = calculator.get_accuracy(
            torch.from_numpy(vectors), torch.from_numpy(truth.base_labels.codes)
        )

    actual = complete_quotients(ours, Similarities.of(vectors, truth, "l2"), truth)

    for name, theirs_name in ours.items():
        scores = actual[name].scores
        assert np.nanmean(scores) == pytest.approx(theirs[theirs_name], abs=1e-6)
        assert np.isnan(scores).sum() == 1


@pytest.fixture(scope="module")
def junk_search():
    """Return (truth, rankings): judged items and junk of 40 queries in a base of 50."""
    random = np.random.default_rng(7)
    rankings = random.permuted(np.tile(np.arange(50), (40, 1)), axis=1)
    pools = random.permuted(np.tile(np.arange(50), (40, 1)), axis=1)
    cuts = random.integers(1, 12, 40), random.integers(0, 15, 40)
    nobody = LabelSets.of(["-"] * 90)
    truth = GroundTruth(
        query_rows=np.arange(40),
        base_rows=np.arange(40, 90),
        query_labels=nobody.take(np.arange(40)),
        base_labels=nobody.take(np.arange(40, 90)),
        self_ids=np.full(40, -1),
        judged=ItemLists.of([pool[:n] for pool, n in zip(pools, cuts[0], strict=True)]),
        junk=ItemLists.of([pool[20 : 20 + n] for pool, n in zip(pools, cuts[1], strict=True)]),
    )
    return truth, rankings


def test_the_revisited_benchmarks_program_agrees(junk_search):
    """Trapezoids and mP@k, with junk: written as its program does it."""
    truth, rankings = junk_search
    ranks = truth.positives(rankings)

    for k in (1, 5, 10):
        expected = np.array(
            [
                junk_by_loops.revisited(row, set(relevant), set(junk), k)
                for row, relevant, junk in zip(
                    rankings.tolist(),
                    np.split(truth.judged.items, truth.judged.starts[1:-1]),
                    np.split(truth.junk.items, truth.junk.starts[1:-1]),
                    strict=True,
                )
            ]
        )
        np.testing.assert_allclose(MetricName("oxford_ap").scores(ranks), expected[:, 0])
        np.testing.assert_allclose(MetricName("oxford_precision", k).scores(ranks), expected[:, 1])


def test_the_revisited_benchmarks_precision_needs_k_ranks_alone(junk_search):
    """What is not among the first k cannot be the last relevant item among them."""
    truth, rankings = junk_search

    cut = truth.positives(rankings[:, :30])
    assert cut.depth is not None
    assert cut.depth >= 10

    for k in (1, 5, 10):
        name = MetricName("oxford_precision", k)
        np.testing.assert_array_equal(name.scores(cut), name.scores(truth.positives(rankings)))


def test_the_market_1501_program_agrees():
    """Same person and same camera is junk: CMC, mAP and mINP, some queries without a match."""
    random = np.random.default_rng(1)
    identities, cameras = random.integers(0, 8, 60), random.integers(0, 3, 60)
    people, views = random.integers(0, 9, 30), random.integers(0, 3, 30)
    rankings = random.permuted(np.tile(np.arange(60), (30, 1)), axis=1)
    labels = LabelSets.of([f"{person:02d}" for person in [*people, *identities]])
    truth = GroundTruth(
        query_rows=np.arange(30),
        base_rows=np.arange(30, 90),
        query_labels=labels.take(np.arange(30)),
        base_labels=labels.take(np.arange(30, 90)),
        self_ids=np.full(30, -1),
        junk=ItemLists.of(
            [
                np.flatnonzero((identities == person) & (cameras == view))
                for person, view in zip(people, views, strict=True)
            ]
        ),
    )

    ranks = truth.positives(rankings)
    cmc = cmc_curve(ranks, 10)

    matched = []
    for query, (person, view) in enumerate(zip(people, views, strict=True)):
        expected = junk_by_loops.market(
            rankings[query],
            identities=identities,
            cameras=cameras,
            identity=person,
            camera=view,
            k=10,
        )
        if expected is None:
            assert np.isnan(cmc.per_query[query]).all()
            continue
        matched.append(expected[0])
        assert cmc.per_query[query].tolist() == expected[0]
        assert MetricName("ap").scores(ranks)[query] == pytest.approx(expected[1])
        assert MetricName("minp").scores(ranks)[query] == pytest.approx(expected[2])
    assert 0 < len(matched) < 30
    np.testing.assert_allclose(cmc.mean, np.mean(matched, axis=0))
