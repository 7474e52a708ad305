"""A fresh process that loads a saved index, searches it, and says what that took.

Its last line on stdout is a JSON object: ``load_seconds`` and ``loaded_bytes``, which is how its anonymous
memory grew together with what it maps of the index's files: the most truthful size of an index in memory.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.component import create
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.library import load
from cbir_bench.measure.clock import timed
from cbir_bench.measure.memory import mapped_bytes, private_bytes
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.pipeline import searched_by
from cbir_bench.run.worker import load_plugin

if TYPE_CHECKING:
    from cbir_bench.core.index import Index

_QUERIES: Final = 300


def main(task_path: str, folder_name: str, answers_path: str) -> None:
    """Load the index in a folder as a task says; the arguments are those of the command line."""
    task = json.loads(Path(task_path).read_text(encoding="utf-8"))
    job, trial = Job.from_json(task["job"]), JobTrial.from_json(task["trial"])
    for plugin in job.plugins:
        load_plugin(plugin)
    index: Index = create(INDEXES, trial.index.use, trial.index.values)
    for module in index.REQUIRES:
        load(module)
    folder = Path(folder_name)
    queries = np.array(np.load(job.queries_path, mmap_mode="r")[:_QUERIES])
    before = private_bytes()
    loaded = timed(lambda: index.load(folder, queries.shape[1], job.space))
    index.configure(loaded.value, job.n_threads)
    depth = trial.k if job.self_ids_path is None else trial.k + 1
    ids = searched_by(index, loaded.value, queries, depth)
    growth = max(0, private_bytes() - before) + mapped_bytes(folder)
    np.savez(answers_path, ids=ids)
    sys.stdout.flush()
    os.write(
        1, json.dumps({"load_seconds": loaded.seconds, "loaded_bytes": growth}).encode() + b"\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
