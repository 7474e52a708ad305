"""What metrics cost, as ratios to a reference in the same run: `python benchmarks/bench_metrics.py`.

The references are the float32 matrix product alone and, where it is installed, pytorch-metric-learning;
what ranked lists cost is in bench_lists.py. Medians of several rounds; reference and candidate take turns,
so that load on the machine meets both. CPU time stands beside wall time: where others work, it is the fairer.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETE = ["ap", "map_at_r", "r_precision", "ndcg", "mrr"]
CLASSES = 1000
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


def search(n: int, dim: int, n_classes: int, noise: float = 1.5) -> Search:
    random = np.random.default_rng(0)
    classes = random.integers(0, n_classes, n)
    centres = random.standard_normal((n_classes, dim))
    vectors = unit_rows((centres[classes] + noise * random.standard_normal((n, dim))).astype("f4"))
    labels = LabelSets.of([f"{c:05d}" for c in classes])
    rows = np.arange(n)
    truth = GroundTruth(
        query_rows=rows, base_rows=rows, query_labels=labels, base_labels=labels, self_ids=rows
    )
    return Search(vectors, truth, Similarities(queries=vectors, base=vectors, space="ip"))


class Timed(NamedTuple):
    """Median seconds."""

    wall: float
    cpu: float


def seconds(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, Timed]:
    """Return the median times of each function, called in turns after one warm-up."""
    samples: dict[str, list[Timed]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            samples[name].append(Timed(time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Timed(median(t.wall for t in times), median(t.cpu for t in times))
        for name, times in samples.items()
    }


def report(title: str, times: dict[str, Timed]) -> None:
    """Print all times, and ratios to the first."""
    reference = next(iter(times))
    print(title)
    for name, (wall, cpu) in times.items():
        ratios = f"{wall / times[reference].wall:9.3f} ({cpu / times[reference].cpu:.3f})"
        print(f"  {name:<46} {wall:9.4f} s {ratios} x {reference} in wall (CPU) time")


def bench_complete(n: int, noise: float, rounds: int) -> None:
    """Ours against the product alone: torch, blocks of 512 queries, as many threads."""
    import torch

    data = search(n, 128, CLASSES, noise)
    vectors = torch.from_numpy(data.vectors)
    block = torch.empty(512, n)
    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def product() -> None:
        for start in range(0, n, 512):
            rows = vectors[start : start + 512]
            torch.mm(rows, vectors.t(), out=block[: len(rows)])

    def metrics() -> dict:
        return complete_quotients(COMPLETE, data.similarities, data.truth, device="cpu")

    times = seconds({"matrix product": product, "five complete metrics": metrics}, rounds)
    ap = np.nanmean(metrics()["ap"].scores)
    report(f"Leave-one-out over {n:,} x 128, {CLASSES:,} classes, ap {ap:.3f}", times)


def bench_cuda(n: int, rounds: int) -> None:
    import torch

    if not torch.cuda.is_available():
        print("No CUDA device: the GPU is not measured.")
        return
    data = search(n, 256, n // 60)
    vectors = torch.from_numpy(data.vectors).cuda()

    def product() -> None:
        torch.set_float32_matmul_precision("highest")
        for start in range(0, n, 512):
            vectors[start : start + 512] @ vectors.t()
        torch.cuda.synchronize()

    times = seconds(
        {
            "matrix product": product,
            "ap": lambda: complete_quotients(
                ["ap"], data.similarities, data.truth, device="cuda", memory_bytes=8 << 30
            ),
        },
        rounds,
    )
    report(f"Leave-one-out over {n:,} x 256 on {torch.cuda.get_device_name()}", times)


def side_ours(data: Search, names: list[str]) -> Callable[[], object]:
    return lambda: complete_quotients(names, data.similarities, data.truth, device="cpu")


def side_metric_learning(data: Search, names: list[str]) -> Callable[[], object]:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    theirs = {
        "ap": "mean_average_precision",
        "map_at_r": "mean_average_precision_at_r",
        "r_precision": "r_precision",
    }
    calculator = AccuracyCalculator(
        include=tuple(theirs[name] for name in names),
        k=None if "ap" in names else "max_bin_count",
    )
    vectors = torch.from_numpy(data.vectors)
    labels = torch.from_numpy(data.truth.base_labels.codes)
    return lambda: calculator.get_accuracy(vectors, labels)


SIDES = {"ours": side_ours, "pytorch-metric-learning": side_metric_learning}


def growth(side: str, n: int, names: list[str]) -> int:
    """Return by how many bytes a fresh process grows at most while it computes."""
    warnings.simplefilter("ignore")
    run = SIDES[side](search(n, 128, CLASSES), names)
    SIDES[side](search(300, 128, 10), names)()  # whatever loads or compiles, before
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _kibibytes("VmRSS")
    run()
    return 1024 * (_kibibytes("VmHWM") - before)


def _kibibytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def bench_metric_learning(n: int, rounds: int) -> None:
    """Ours against AccuracyCalculator: with k = None for ap, with its shortcut for what R ranks tell."""
    try:
        import pytorch_metric_learning  # noqa: F401
    except ImportError:
        return
    data = search(n, 128, CLASSES)
    for names, n_rounds in ((["ap"], 1), (["map_at_r", "r_precision"], rounds)):
        times = seconds({side: make(data, names) for side, make in SIDES.items()}, n_rounds)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            peaks = {side: pool.submit(growth, side, n, names).result() for side in SIDES}
        report(f"{', '.join(names)} from vectors, {n:,} x 128, {CLASSES:,} classes", times)
        for side, peak in peaks.items():
            print(f"  {side:<46} {peak / 2**20:9.0f} MiB {peak / peaks['ours']:9.3f} x ours")


def bench_neighbours(n: int, rounds: int) -> None:
    data = search(n, 128, CLASSES)

    def product() -> None:
        for _ in data.similarities.blocks(512):
            pass

    times = seconds(
        {
            "matrix product": product,
            "100 exact neighbours": lambda: exact_neighbours(
                data.similarities, data.truth.self_ids, 100
            ),
        },
        rounds,
    )
    report(f"Neighbours of {n:,} x 128", times)


def bench_trial(n_queries: int, rounds: int) -> None:
    """What one more trial of a sweep costs: eleven metrics with intervals, neighbours known."""
    data = search(n_queries, 64, n_queries // 50)
    exact = exact_neighbours(data.similarities, data.truth.self_ids, 100)
    ids = np.where(np.random.default_rng(0).random(exact.ids.shape) < 0.95, exact.ids, -1)
    ids = np.take_along_axis(ids, np.argsort(ids < 0, axis=1, kind="stable"), axis=1)

    def trial() -> None:
        evaluate(
            SWEEP,
            data.truth.positives(ids),
            classes=data.truth.classes,
            neighbours=exact.found(ids),
        )

    def product() -> None:
        for _ in data.similarities.blocks(512):
            pass

    times = seconds({"matrix product": product, "hits, eleven metrics, intervals": trial}, rounds)
    report(f"A trial with {n_queries:,} queries x 100 results", times)


PARTS: dict[str, Callable[[argparse.Namespace], object]] = {
    "complete": lambda o: [bench_complete(o.items, noise, o.rounds) for noise in o.noise],
    "metric-learning": lambda o: bench_metric_learning(min(o.items, 10_000), o.rounds),
    "neighbours": lambda o: bench_neighbours(min(o.items, 10_000), o.rounds),
    "trial": lambda o: bench_trial(4_000, o.rounds),
    "cuda": lambda o: bench_cuda(o.cuda_items, o.rounds),
}


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], help="what to measure; all if none"
    )
    parser.add_argument("--items", type=int, default=60_000, help="of the complete rankings")
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[1.5, 2.5],
        help="spread of a class: 1.5 gives ap .62; 2.5 gives ap .03, the hard case of counting",
    )
    parser.add_argument("--cuda-items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is shown")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        PARTS[part](options)


if __name__ == "__main__":
    main()
