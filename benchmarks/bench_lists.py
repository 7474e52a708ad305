"""Metrics of ranked lists, against pytrec_eval through ir_measures and ranx, in one run.

`python benchmarks/bench_lists.py`: P@10, R@10, AP and nDCG@10 of 10,000 queries with 1,000 results each.
The peers are the dependency group `bench`; those that are not installed are left out.

What each side is given, made before the clock starts:

- ours, hits: a matrix of booleans, and how many relevant items each query has;
- ours, ids: a matrix of base ids, and the labels of queries and base; who is relevant is found inside;
- ir_measures: an evaluator that has read its dictionary of relevant items, and a dictionary of scores;
- ranx: its own Qrels and Run, which are sorted arrays, and a call before the first that compiles.

All take turns, the median of several rounds counts. Wall time says who answers first; CPU time what it
costs, since ranx uses every core. What a dictionary, a Qrels or a Run costs to make is shown apart: once.
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.names import MetricName

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = ("precision@10", "recall@10", "ap@1000", "ndcg@10")
IR_MEASURES = ("P@10", "R@10", "AP", "nDCG@10")
RANX = ("precision@10", "recall@10", "map@1000", "ndcg@10")
N_CLASSES = 1000
CLASS_SIZE = 50
N_RELEVANT_SHOWN = 25
"""Of the 50 relevant items, at places drawn at random."""


class Lists(NamedTuple):
    """Ranked lists, and what is relevant."""

    ids: np.ndarray
    truth: GroundTruth


class Side(NamedTuple):
    """One way to compute the metrics; ``run`` returns ``(4, n_queries)`` values."""

    name: str
    run: Callable[[], np.ndarray]


def lists(n_queries: int, depth: int) -> Lists:
    """Return lists over a base of 1,000 classes of 50 items, half of which each list shows."""
    random = np.random.default_rng(0)
    n_base = N_CLASSES * CLASS_SIZE
    own = random.integers(0, N_CLASSES, n_queries)
    ids = np.empty((n_queries, depth), np.int64)
    for query, code in enumerate(own):
        relevant = code * CLASS_SIZE + random.permutation(CLASS_SIZE)[:N_RELEVANT_SHOWN]
        others = random.permutation(n_base)[: depth + CLASS_SIZE]
        others = others[others // CLASS_SIZE != code][: depth - N_RELEVANT_SHOWN]
        ids[query] = random.permutation(np.concatenate([relevant, others]))
    labels = LabelSets.of([f"{i // CLASS_SIZE:04d}" for i in range(n_base)])
    truth = GroundTruth(
        query_rows=np.arange(n_queries),
        base_rows=np.arange(n_base),
        query_labels=labels.take(own * CLASS_SIZE),
        base_labels=labels,
        self_ids=np.full(n_queries, -1),
    )
    return Lists(ids, truth)


def ours(data: Lists) -> list[Side]:
    names = [MetricName.parse(name) for name in OURS]
    hits, n_relevant = data.truth.hits(data.ids), data.truth.n_relevant

    def of(positives: PositiveRanks) -> np.ndarray:
        return np.stack([name.scores(positives) for name in names])

    return [
        Side("ours, hits", lambda: of(PositiveRanks.from_hits(hits, n_relevant))),
        Side("ours, ids", lambda: of(data.truth.positives(data.ids))),
    ]


def dictionaries(data: Lists) -> tuple[dict, dict]:
    """Return (relevant items, scores made from ranks) by query; names are made once."""
    names = [f"d{i}" for i in range(len(data.truth.base_rows))]
    places = [float(score) for score in range(data.ids.shape[1], 0, -1)]
    codes = data.truth.classes.tolist()
    qrels = {
        str(q): dict.fromkeys(names[code * CLASS_SIZE : (code + 1) * CLASS_SIZE], 1)
        for q, code in enumerate(codes)
    }
    run = {
        str(q): dict(zip((names[i] for i in row), places, strict=True))
        for q, row in enumerate(data.ids.tolist())
    }
    return qrels, run


def ir_measures_side(qrels: dict, run: dict) -> list[Side]:
    try:
        import ir_measures
    except ImportError:
        return []
    measures = [ir_measures.parse_measure(name) for name in IR_MEASURES]
    evaluator = ir_measures.pytrec_eval.evaluator(measures, qrels)

    def evaluate() -> np.ndarray:
        values = np.empty((len(measures), len(run)))
        row = {measure: i for i, measure in enumerate(measures)}
        for one in evaluator.iter_calc(run):
            values[row[one.measure], int(one.query_id)] = one.value
        return values

    return [Side("pytrec_eval through ir_measures", evaluate)]


def ranx_side(qrels: dict, run: dict) -> list[Side]:
    try:
        import ranx
    except ImportError:
        return []
    start = time.perf_counter()
    relevant, scored = ranx.Qrels(qrels), ranx.Run(run)
    print(f"making ranx's Qrels and Run: {time.perf_counter() - start:.1f} s")
    order = np.argsort([int(query) for query in scored.keys()])  # noqa: SIM118  ranx's own keys()

    def evaluate() -> np.ndarray:
        values = ranx.evaluate(relevant, scored, [*RANX], return_mean=False)
        return np.stack([values[name] for name in RANX])[:, order]

    return [Side("ranx", evaluate)]


def measure(sides: list[Side], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median (wall, CPU) seconds of each side; all agree, or the comparison is void."""
    expected = sides[0].run()
    for side in sides:
        np.testing.assert_allclose(side.run(), expected, atol=1e-6, err_msg=side.name)
    samples: dict[str, list[tuple[float, float]]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            wall, cpu = time.perf_counter(), time.process_time()
            side.run()
            samples[side.name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (median(w for w, _ in times), median(c for _, c in times))
        for name, times in samples.items()
    }


def report(times: dict[str, tuple[float, float]]) -> None:
    references = [name for name in times if name.startswith("ours")]
    columns = "".join(f"{f'x {name}':>18}" for name in references)
    print(f"{'':<34}{'wall s':>9}{'CPU s':>9}{columns}   (wall; CPU in brackets)")
    for name, (wall, cpu) in times.items():
        ratios = [f"{wall / times[one][0]:.1f} ({cpu / times[one][1]:.1f})" for one in references]
        print(f"{name:<34}{wall:>9.4f}{cpu:>9.4f}" + "".join(f"{ratio:>18}" for ratio in ratios))


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--depth", type=int, default=1_000, help="results of each query")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is shown")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    data = lists(options.queries, options.depth)
    sides = ours(data)
    if not options.without_peers:
        start = time.perf_counter()
        qrels, run = dictionaries(data)
        print(f"making dictionaries: {time.perf_counter() - start:.1f} s")
        sides += [*ir_measures_side(qrels, run), *ranx_side(qrels, run)]
    print(f"{', '.join(OURS)} of {options.queries:,} lists of {options.depth:,}")
    report(measure(sides, options.rounds))


if __name__ == "__main__":
    main()
