"""The community's own programs give the same numbers, where their definition is the same."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from unit.metrics.builders import clustered, full_base

from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.similarity import Similarities

DEPTH, N_BASE = 30, 60


@pytest.fixture(scope="module")
def rankings():
    """Return (hits, n_relevant) of random rankings, some relevant items not retrieved."""
    random = np.random.default_rng(11)
    n_relevant = random.integers(1, 25, 80)
    relevant = np.arange(N_BASE) < n_relevant[:, None]
    return random.permuted(relevant, axis=1)[:, :DEPTH], n_relevant


def test_trec_eval_agrees(rankings):
    """trec_eval, through ir_measures; integer scores made from ranks keep its ties out."""
    import ir_measures

    hits, n_relevant = rankings
    ours = {
        "ap@20": "AP@20",
        "precision@7": "P@7",
        "recall@15": "R@15",
        "hit_rate@3": "Success@3",
        "r_precision": "Rprec",
        "mrr@30": "RR",
        "ndcg@10": "nDCG@10",
    }
    qrels, run = [], []
    for query, (row, found) in enumerate(zip(hits, n_relevant - hits.sum(1), strict=True)):
        for place, hit in enumerate(row):
            run.append(ir_measures.ScoredDoc(str(query), f"d{place}", float(DEPTH - place)))
            qrels.append(ir_measures.Qrel(str(query), f"d{place}", int(hit)))
        qrels += [ir_measures.Qrel(str(query), f"missed{i}", 1) for i in range(found)]
    measures = {theirs: ir_measures.parse_measure(theirs) for theirs in ours.values()}

    theirs = {
        (result.query_id, str(result.measure)): result.value
        for result in ir_measures.iter_calc(list(measures.values()), qrels, run)
    }

    ranks = PositiveRanks.from_hits(hits, n_relevant)
    for name, measure in ours.items():
        expected = [theirs[str(q), str(measures[measure])] for q in range(len(hits))]
        np.testing.assert_allclose(MetricName.parse(name).scores(ranks), expected, atol=1e-6)


def test_scikit_learn_agrees_on_complete_rankings():
    """Average precision and nDCG of tie-free scores over the whole base."""
    from sklearn.metrics import average_precision_score, ndcg_score

    random = np.random.default_rng(5)
    relevant = random.random((40, N_BASE)) < 0.2
    relevant[:, 0] = True
    similarity = random.permuted(np.tile(np.arange(1.0, N_BASE + 1), (40, 1)), axis=1)
    hits = np.take_along_axis(relevant, np.argsort(-similarity, axis=1), axis=1)
    cut = PositiveRanks.from_hits(hits, relevant.sum(1))
    ranks = PositiveRanks(ranks=cut.ranks, starts=cut.starts, n_relevant=cut.n_relevant, depth=None)

    ap = [average_precision_score(r, s) for r, s in zip(relevant, similarity, strict=True)]
    ndcg = [ndcg_score([r], [s]) for r, s in zip(relevant, similarity, strict=True)]
    ndcg_at_5 = [ndcg_score([r], [s], k=5) for r, s in zip(relevant, similarity, strict=True)]

    np.testing.assert_allclose(MetricName("ap").scores(ranks), ap)
    np.testing.assert_allclose(MetricName("ndcg").scores(ranks), ndcg)
    np.testing.assert_allclose(MetricName("ndcg", 5).scores(ranks), ndcg_at_5)


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
        assert np.nanmean(actual[name]) == pytest.approx(theirs[theirs_name], abs=1e-6)
        assert np.isnan(actual[name].scores).sum() == 1
