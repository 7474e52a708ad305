"""What the harness adds to a library's call, as a ratio within one run.

Usage: python benchmarks/bench_harness.py [--n 20000] [--passes 40] [--libraries faiss,hnswlib]

Prints, for every library at its fastest operating point, the median latency through the harness over
that of the same call in a bare loop (at most 1.01), the queries per second of the index that does
nothing (at least 1,000,000), and how many builds a sweep of five search settings costs (one).

The two loops ask the same queries of the same index, 25 at a time in turns, and every query counts with
its median over the passes, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import os

from cbir_bench.measure.threads import thread_environment

os.environ.update(thread_environment(1))  # before a library is imported

import argparse
import gc
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.component import create, setting_of
from cbir_bench.core.registry import INDEXES, RERANKERS
from cbir_bench.measure.clock import one_pass
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.pipeline import Inputs, Pipeline
from cbir_bench.run.process import run_job

DIM, K, N_QUERIES, N_CHUNKS = 256, 10, 500, 20
FASTEST = {
    "faiss": {"factory": "IVF512,Flat", "nprobe": 1},
    "hnswlib": {"ef_search": 16},
    "annoy": {"trees": 50, "search_k": 500},
    "nmslib": {"ef_search": 16},
    "scann": {"leaves": 316, "leaves_to_search": 8, "reorder": 100},
}
"""The quickest setting of each library that still finds most neighbours in 100,000 vectors."""


def clustered(n, dim, seed):
    """Return ``n`` unit vectors in clusters of some 50, each stretched along directions of its own."""
    random = np.random.default_rng(seed)
    n_clusters = max(1, n // 50)
    centres = unit_rows(random.standard_normal((n_clusters, dim)).astype(np.float32))
    spread = (1 + np.arange(32)) ** -0.7
    vectors = np.empty((n, dim), np.float32)
    members = np.array_split(random.permutation(n), n_clusters)
    for centre, rows in zip(centres, members, strict=True):
        directions = random.standard_normal((32, dim)) / dim**0.5
        within = (random.standard_normal((len(rows), 32)) * spread) @ directions
        vectors[rows] = centre + within + random.standard_normal((len(rows), dim)) * 0.5 / dim**0.5
    return unit_rows(vectors)


def bare_call(name, component, handle):
    """Return the library's own function, and what a script would pass to it after the query."""
    if name == "faiss":
        return handle.search, (K,)
    if name == "hnswlib":
        return handle.knn_query, (K,)
    if name == "annoy":
        return handle.get_nns_by_vector, (K, component.search_k)
    if name == "nmslib":
        return handle.index.knnQuery, (K,)
    return handle.searcher.search, (K, component.reorder, component.leaves_to_search)


def bare_pass(search, arguments, queries):
    """Return the nanoseconds between stamps, one taken after every call."""
    taken = [0] * (len(queries) + 1)
    gc.collect()
    gc.disable()
    taken[0] = perf_counter_ns()
    for place, query in enumerate(queries, 1):
        search(query, *arguments)
        taken[place] = perf_counter_ns()
    gc.enable()
    return np.diff(taken)


def overhead(name, base, queries, n_passes):
    """Return microseconds through the harness, and its median and p99 in ratio to the bare loop's."""
    component = create(INDEXES, name, FASTEST[name])
    component.check(k=K, n_base=len(base), dim=DIM, space="cosine")
    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)
    pipeline = Pipeline(
        inputs=Inputs(base=base, original=base, queries=queries, self_ids=None),
        index=component,
        handle=handle,
        reranker=create(RERANKERS, "none", {}),
        state=None,
        k=K,
    )
    answer, prepared = pipeline.single_calls(np.arange(len(queries)))
    search, arguments = bare_call(name, component, handle)
    chunks = np.array_split(np.arange(len(queries)), N_CHUNKS)
    parts = [[prepared[i] for i in chunk] for chunk in chunks]
    samples = {which: np.empty((n_passes + 1, len(queries))) for which in ("harness", "bare")}
    gc.freeze()  # what exists already need not be looked at before every chunk
    for turn in range(n_passes + 1):
        for place in range(N_CHUNKS):
            # Other queries than the first loop's, whose neighbours are in the caches now.
            other = (place + N_CHUNKS // 2) % N_CHUNKS
            samples["harness"][turn, chunks[place]] = one_pass(answer, parts[place]).wall_ns
            samples["bare"][turn, chunks[other]] = bare_pass(search, arguments, parts[other])
    # The first pass is the warm-up; each query counts with its median over the others.
    medians = {which: np.median(all_[1:], axis=0) for which, all_ in samples.items()}
    at = {which: np.percentile(of_queries, [50, 99]) for which, of_queries in medians.items()}
    return at["harness"][0] / 1000, *(at["harness"] / at["bare"])


def null_qps(queries):
    """Return queries per second of a pass over the index that does nothing, as the wall clock saw it."""
    component = create(INDEXES, "null", {})
    answer = component.single(component.build(queries, "cosine", 1), K)
    prepared = list(component.prepare(queries)) * 200
    speeds = []
    for _ in range(15):
        start = perf_counter_ns()
        samples = one_pass(answer, prepared).wall_ns
        speeds.append(len(samples) / (perf_counter_ns() - start) * 1e9)
    return np.median(speeds)


def builds_of_a_sweep(base, queries):
    """Return how often five beam widths of one graph were built, by the worker's own account."""
    none = setting_of("none", create(RERANKERS, "none", {}))
    indexes = [
        setting_of("hnswlib", create(INDEXES, "hnswlib", {"ef_search": ef}))
        for ef in (10, 20, 40, 80, 160)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "base.npy", base)
        np.save(folder / "queries.npy", queries)
        job = Job(
            build_key="sweep",
            index=indexes[0],
            space="cosine",
            n_threads=1,
            base_path=folder / "base.npy",
            original_path=folder / "base.npy",
            queries_path=folder / "queries.npy",
            self_ids_path=None,
            measure=MeasureSettings(),
            trials=tuple(
                JobTrial(trial_id=f"{i}", index=index, reranker=none, k=K)
                for i, index in enumerate(indexes)
            ),
            out_folder=folder / "out",
        )
        events = []
        run_job(job, folder / "job", events.append)
    kinds = [event["event"] for event in events]
    return kinds.count("built"), kinds.count("trial")


def main():
    """Print everything, and end with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000, help="base vectors (default 20000)")
    parser.add_argument("--passes", type=int, default=40, help="pairs of passes (default 40)")
    parser.add_argument("--libraries", default=",".join(FASTEST), help="which (default all)")
    options = parser.parse_args()
    vectors = clustered(options.n + N_QUERIES, DIM, 0)
    base, queries = vectors[:-N_QUERIES], np.ascontiguousarray(vectors[-N_QUERIES:])
    kept = True
    print(f"{options.n} x {DIM}, {N_QUERIES} queries, k = {K}, one thread")
    for name in options.libraries.split(","):
        microseconds, median, p99 = overhead(name, base, queries, options.passes)
        kept &= median <= 1.01 and p99 <= 1.02
        print(
            f"{name:8s} {microseconds:8.1f} us  harness / bare loop: median {median:.4f} (at most 1.01), "
            f"p99 {p99:.4f} (at most 1.02)"
        )
    speed = null_qps(queries)
    kept &= speed >= 1e6
    print(f"null     {speed:,.0f} queries/s  (at least 1,000,000)")
    n_builds, n_trials = builds_of_a_sweep(base[:5000], queries)
    kept &= (n_builds, n_trials) == (1, 5)
    print(f"a sweep of {n_trials} search settings: {n_builds} build  (one)")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
