"""The four numbers of memory, as ratios to bytes that are known, for indexes whose size is known.

Usage: python benchmarks/bench_memory.py [--n 100000] [--indexes Flat,SQfp16,SQ8,PQ64x4np,hnswlib]

Every index is built in a fresh worker, as in a run. For faiss the known bytes are items times bytes per
code; for hnswlib they are the saved file with what hnswlib keeps in memory only (see ``LOCKS``). Ends
with 1 if the private growth of Flat, SQfp16, SQ8 or hnswlib is more than 5 % away from what is known.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.component import create, setting_of
from cbir_bench.core.registry import INDEXES, RERANKERS
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.process import run_job

DIM = 256
BYTES_PER_ITEM = {"Flat": 4 * DIM, "SQfp16": 2 * DIM, "SQ8": DIM, "PQ64x4np": 32}
"""Of faiss's codes: four bytes per dimension, two, one, and half a byte per sub-vector."""
LOCKS = 65_536 * 40
"""hnswlib keeps a lock of 40 bytes for each of 65,536 labels, however few items there are."""
UNSAVED_PER_ITEM = 40 + 2 + 8 + 32 + 10
"""A lock, a mark of the last visit, a pointer to the upper links, an entry of the hash table from label
to item, and its bucket."""
ALLOWED = {"Flat": 0.05, "SQfp16": 0.05, "SQ8": 0.05, "hnswlib": 0.05}
"""How far the private growth may be from the known bytes, as a share of them."""


def index_of(name):
    """Return the setting of an index; links of a graph take the same bytes however well they are chosen."""
    if name == "hnswlib":
        return setting_of("hnswlib", create(INDEXES, "hnswlib", {"ef_construction": 40}))
    return setting_of("faiss", create(INDEXES, "faiss", {"factory": name}))


def cost_of(name, folder):
    """Return what a fresh worker says that the build took, as a table of numbers."""
    index = index_of(name)
    none = setting_of("none", create(RERANKERS, "none", {}))
    job = Job(
        build_key=name,
        index=index,
        space="cosine",
        n_threads=1,
        base_path=folder / "base.npy",
        original_path=folder / "base.npy",
        queries_path=folder / "queries.npy",
        self_ids_path=None,
        measure=MeasureSettings(),
        trials=(JobTrial(trial_id="0", index=index, reranker=none, k=10),),
        out_folder=folder / name,
    )
    events = []
    outcome = run_job(job, folder / f"job-{name}", events.append)
    built = [event["build"] for event in events if event["event"] == "built"]
    if not built:
        sys.exit(f"{name} was not built. {outcome.reason} {outcome.log_tail}")
    return built[0]


def known_bytes(name, n, saved):
    """Return the bytes in memory that follow from the library's layout."""
    if name == "hnswlib":
        return saved + LOCKS + n * UNSAVED_PER_ITEM
    return n * BYTES_PER_ITEM[name]


def main():
    """Print one line per index, and end with 1 if a growth is too far from what is known."""
    names = [*BYTES_PER_ITEM, "hnswlib"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="base vectors (default 100000)")
    parser.add_argument("--indexes", default=",".join(names), help="which (default all)")
    options = parser.parse_args()
    if unknown := set(options.indexes.split(",")) - set(names):
        parser.error(f"The size of {', '.join(unknown)} is not known. Known: {', '.join(names)}.")
    vectors = unit_rows(np.random.default_rng(0).standard_normal((options.n, DIM), np.float32))
    kept = True
    print(f"{options.n} x {DIM}, ratios to the known bytes")
    print("index          known MB   saved  theory  growth    peak")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "base.npy", vectors)
        np.save(folder / "queries.npy", vectors[:10])
        for index in options.indexes.split(","):
            cost = cost_of(index, folder)
            known = known_bytes(index, options.n, cost["index_bytes"])
            fields = ("index", "theoretical", "private_growth", "peak_build")
            saved, theory, growth, peak = (cost[f"{field}_bytes"] / known for field in fields)
            kept &= abs(growth - 1) <= ALLOWED.get(index, float("inf"))
            print(
                f"{index:12s} {known / 1e6:10.2f} {saved:7.3f} {theory:7.3f} {growth:7.3f} {peak:7.3f}"
            )
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
