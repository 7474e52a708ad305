"""What share of a sweep's wall time is spent inside the libraries' calls, and whether a second run agrees.

    python benchmarks/bench_sweep.py [--n 100000] [--repeat] [--keep FOLDER]

Clustered vectors are embeddings that a user brings; the 40 operating points of the five libraries in the
suite ann.toml are measured over them as ``cbir-bench run`` does it. Printed is the time inside the libraries
(builds, searches of all queries, all passes) as a share of everything after the vectors were there: starting
workers, loading saved indexes, scoring and writing records are the rest (at least 0.85 inside). With
``--repeat`` a second run of the same suite follows, and for each library: how many trials have the same
quality to the last bit (all but those that do not repeat themselves), and how many have a median latency
within 5 % on the CPU's clock (at least 95 %) and on the wall's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from bench_harness import DIM, clustered

from cbir_bench.core.component import create
from cbir_bench.core.registry import INDEXES
from cbir_bench.records.store import RecordStore
from cbir_bench.run.execute import run_suite
from cbir_bench.run.places import Places
from cbir_bench.run.progress import PlainProgress
from cbir_bench.run.suite import read_suite

N_QUERIES, N_CLASSES = 1000, 1000
HEAD = """
name = "sweep"
metrics = ["map_at_r", "hit_rate@1", "knn_recall@10"]

[[dataset]]
use = "vectors"
file = "vectors.npz"

[[model]]
use = "given_vectors"
file = "vectors.npz"

[[protocol]]
use = "query-set"

"""


def write(folder, n):
    """Write vectors with roles, and the suite that measures the indexes of ann.toml over them."""
    vectors = clustered(n + N_QUERIES, DIM, 0)
    labels = np.array([f"class{i % N_CLASSES:04d}" for i in range(len(vectors))])
    ids = np.array([f"item{i:07d}" for i in range(len(vectors))])
    roles = np.array(["base"] * n + ["query"] * N_QUERIES)
    np.savez(folder / "vectors.npz", ids=ids, label=labels, role=roles, vectors=vectors)
    ann = Path(__file__).with_name("ann.toml").read_text(encoding="utf-8")
    indexes = ann[ann.index("[[index]]") : ann.index("# Extras")]
    (folder / "sweep.toml").write_text(
        HEAD + indexes + ann[ann.index("[search]") :], encoding="utf-8"
    )


def run(folder, name):
    """Run the suite into a folder of its own and return what it did."""
    suite = folder / "sweep.toml"
    places = Places.of(suite, (folder,), folder / "cache")
    with PlainProgress() as progress:
        return run_suite(read_suite(suite), folder / name, places, progress)


def records(folder):
    """Return the records of a run with their arrays, by trial."""
    store = RecordStore(folder)
    return {trial_id: store.read(trial_id, arrays=True) for trial_id in store.ids()}


def same_quality(one, other):
    """Return whether two records have the same answers and the same numbers of quality."""
    alike = np.array_equal(one.arrays["top_ids"], other.arrays["top_ids"])
    return alike and one.metrics == other.metrics


def repeats(record):
    index = record.trial.index
    return create(INDEXES, index.use, index.values).repeats(record.trial.n_threads)


def compare(first, second):
    """Print for each library how well two runs agree; return whether the promises are kept."""
    groups = defaultdict(list)
    for trial_id, one in first.items():
        other = second[trial_id]
        if one.latency and other.latency:
            groups[one.trial.index.use].append((one, other))
    kept, ratios = True, []
    for use, pairs in groups.items():
        same = [same_quality(*pair) for pair in pairs]
        kept &= all(alike or not repeats(pair[0]) for alike, pair in zip(same, pairs, strict=True))
        cpu, wall = (
            np.array([getattr(b.latency, name) / getattr(a.latency, name) for a, b in pairs])
            for name in ("cpu_p50_us", "p50_us")
        )
        ratios.append(cpu)
        print(
            f"{use:8s} {sum(same)} of {len(pairs)} with the same quality to the bit; second / first median "
            f"latency: CPU {np.median(cpu):.3f} ({cpu.min():.3f} to {cpu.max():.3f}), wall "
            f"{np.median(wall):.3f} ({wall.min():.3f} to {wall.max():.3f})"
        )
    close = np.abs(np.concatenate(ratios) - 1) <= 0.05
    print(
        f"median CPU latency within 5 %: {close.mean():.1%} of {len(close)} trials (at least 95 %)"
    )
    return kept and close.mean() >= 0.95


def main():
    """Print everything, and end with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="base vectors (default 100000)")
    parser.add_argument("--repeat", action="store_true", help="run twice and compare")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the runs (default: a temporary one)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, options.n)
        outcome = run(folder, "first")
        print(outcome.summary())
        kept = outcome.n_measured > 0
        if kept:
            share = outcome.library_seconds / outcome.measure_seconds
            kept &= share >= 0.85
            print(
                f"{outcome.n_measured} trials in {outcome.measure_seconds:.0f} s, {share:.1%} of it inside "
                "the libraries' calls (at least 85 %)"
            )
        if options.repeat:
            run(folder, "second")
            kept &= compare(records(folder / "first"), records(folder / "second"))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
