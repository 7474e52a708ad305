"""What metrics cost, as ratios to a reference in the same run: `python benchmarks/bench_metrics.py`.

The references are the float32 matrix product alone, and trec_eval (through ir_measures) and
pytorch-metric-learning where they are installed. Medians of several rounds; reference and candidate take
turns, so that load on the machine meets both.
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETE = ["ap", "map_at_r", "r_precision", "ndcg", "mrr"]
LISTS = ["precision@10", "recall@10", "ap@1000", "ndcg@10"]
SWEEP = [
    "map_at_r",
    "r_precision",
    "ap@100",
    "precision@1",
    "precision@10",
    "recall@10",
    "recall@100",
]
SWEEP += ["hit_rate@1", "mrr@10", "ndcg@10", "knn_recall@10"]


class Search(NamedTuple):
    """Clustered vectors in which every item is a query."""

    vectors: np.ndarray
    truth: GroundTruth
    similarities: Similarities


def search(n: int, dim: int, n_classes: int) -> Search:
    random = np.random.default_rng(0)
    classes = random.integers(0, n_classes, n)
    centres = random.standard_normal((n_classes, dim))
    vectors = unit_rows((centres[classes] + 1.5 * random.standard_normal((n, dim))).astype("f4"))
    labels = LabelSets.of([f"{c:05d}" for c in classes])
    rows = np.arange(n)
    truth = GroundTruth(
        query_rows=rows, base_rows=rows, query_labels=labels, base_labels=labels, self_ids=rows
    )
    return Search(vectors, truth, Similarities(queries=vectors, base=vectors, space="ip"))


def seconds(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median wall time of each function, called in turns after one warm-up."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            samples[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in samples.items()}


def report(title: str, reference: str, times: dict[str, float]) -> None:
    print(title)
    for name, value in times.items():
        ratio = value / times[reference]
        print(f"  {name:<46} {value:9.4f} s   {ratio:9.3f} x {reference}")


def bench_complete(n: int, rounds: int) -> None:
    data = search(n, 128, max(2, n // 60))

    def product() -> None:
        for _ in data.similarities.blocks(512):
            pass

    times = seconds(
        {
            "matrix product": product,
            "five complete metrics": lambda: complete_quotients(
                COMPLETE, data.similarities, data.truth
            ),
            "100 exact neighbours": lambda: exact_neighbours(
                data.similarities, data.truth.self_ids, 100
            ),
        },
        rounds,
    )
    report(f"Leave-one-out over {n:,} x 128", "matrix product", times)


def bench_metric_learning(n: int) -> None:
    try:
        import torch
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    except ImportError:
        return
    data = search(n, 128, max(2, n // 60))
    vectors = torch.from_numpy(data.vectors)
    labels = torch.from_numpy(data.truth.base_labels.codes)
    everything = AccuracyCalculator(
        include=("mean_average_precision", "mean_average_precision_at_r", "r_precision"), k=None
    )
    times = seconds(
        {
            "ours": lambda: complete_quotients(COMPLETE, data.similarities, data.truth),
            "pytorch-metric-learning, k = None": lambda: everything.get_accuracy(vectors, labels),
        },
        1,
    )
    report(f"ap, map_at_r, r_precision from vectors, {n:,} x 128", "ours", times)


def bench_lists(n_queries: int, rounds: int) -> None:
    try:
        import ir_measures
    except ImportError:
        return
    random = np.random.default_rng(0)
    hits = random.random((n_queries, 1000)) < 0.02
    n_relevant = hits.sum(1) + 5
    names = [MetricName.parse(name) for name in LISTS]
    qrels = {
        str(q): {f"d{i}": int(hit) for i, hit in enumerate(row)} | {f"m{i}": 1 for i in range(5)}
        for q, row in enumerate(hits)
    }
    run = {str(q): {f"d{i}": 1000.0 - i for i in range(1000)} for q in range(n_queries)}
    measures = [ir_measures.parse_measure(m) for m in ("P@10", "R@10", "AP@1000", "nDCG@10")]

    def ours() -> None:
        ranks = PositiveRanks.from_hits(hits, n_relevant)
        for name in names:
            name.scores(ranks)

    times = seconds(
        {
            "ours": ours,
            "ir_measures (dictionaries made before)": lambda: list(
                ir_measures.iter_calc(measures, qrels, run)
            ),
        },
        rounds,
    )
    report(f"Four metrics of {n_queries:,} lists of 1,000", "ours", times)


def bench_trial(n_queries: int, rounds: int) -> None:
    """What one more trial of a sweep costs: eleven metrics with intervals, neighbours known."""
    data = search(n_queries, 64, n_queries // 50)
    exact = exact_neighbours(data.similarities, data.truth.self_ids, 100)
    ids = np.where(np.random.default_rng(0).random(exact.ids.shape) < 0.95, exact.ids, -1)
    ids = np.take_along_axis(ids, np.argsort(ids < 0, axis=1, kind="stable"), axis=1)

    def trial() -> None:
        ranks = PositiveRanks.from_hits(data.truth.hits(ids), data.truth.n_relevant)
        evaluate(SWEEP, ranks, neighbours=exact.found(ids))

    def product() -> None:
        for _ in data.similarities.blocks(512):
            pass

    times = seconds({"matrix product": product, "hits, eleven metrics, intervals": trial}, rounds)
    report(f"A trial with {n_queries:,} queries x 100 results", "matrix product", times)


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000, help="of the complete rankings")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is shown")
    options = parser.parse_args()
    bench_complete(options.items, options.rounds)
    bench_trial(4_000, options.rounds)
    bench_lists(500, options.rounds)
    bench_metric_learning(3_000)


if __name__ == "__main__":
    main()
