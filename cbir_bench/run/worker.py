"""The process that measures: builds one index, then searches it for one trial after the other.

It is started afresh for every build by ``cbir_bench.run.process`` and imports the index library and
NumPy, no more. What it has to say goes line by line, as JSON, to a pipe of its own, since libraries
print what they like on stdout:

- ``{"event": "started", "cores": [...]}``
- ``{"event": "progress", "stage": ..., "trial_id": ...}``; the stages are "build", "save", then for each
  trial "prepare", "quality" and "probe", then "latency" for each pass of each trial, "clients" likewise,
  and "tell"
- ``{"event": "built", "build": {the fields of BuildCost}, "simd": {module: instructions it uses}}``
- ``{"event": "searched", "trial_id": ..., "arrays": path, "prepare_seconds": ..., "prepare_bytes": ...,
  "probe_us": ...}``; the arrays are the ``ids`` of all queries
- ``{"event": "trial", "trial_id": ..., "arrays": path, "quiet": {...}, "batches": [...], "loads": [...],
  "library_seconds": ...}``; the arrays are ``latency_queries`` and samples whose names end in ``_ns``
- ``{"event": "trial_failed", "trial_id": ..., "status": ..., "reason": ...}``
- ``{"event": "storage", "reason": ...}``: nothing can be written, so the run has to stop
- ``{"event": "done"}``

After "searched", "trial" and "trial_failed" it waits for a line on stdin, so that nothing else of ours
runs while it measures: ``{"skip": [ids of trials that need no look any more]}``. The end of stdin ends it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.measure.memory import die_first, limit_memory
from cbir_bench.measure.threads import pin
from cbir_bench.run.job import Job
from cbir_bench.run.measuring import Measurer, Parent
from cbir_bench.run.pipeline import Inputs

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Ids, Matrix

_PR_SET_PDEATHSIG: Final = 1
_PAGE_FLOATS: Final = 1024
"""Float32 values on the smallest memory page."""


def main(job_path: str, event_fd: str, parent_pid: str) -> None:
    """Do the job in a file; the arguments are those of the command line."""
    _die_with(int(parent_pid))
    os.set_inheritable(int(event_fd), False)
    job = Job.read(Path(job_path))
    job.out_folder.mkdir(parents=True, exist_ok=True)
    for plugin in job.plugins:
        load_plugin(plugin)
    parent = Parent(int(event_fd))
    die_first()
    pinned = pin(job.n_threads)
    parent.tell("started", cores=pinned.cores)
    inputs = _read_inputs(job)
    if job.measure.memory_limit_bytes:
        limit_memory(job.measure.memory_limit_bytes)
    Measurer(job=job, inputs=inputs, parent=parent, cores=pinned.allowed).run()
    parent.tell("done")


def load_plugin(plugin: str) -> None:
    """Import a module by its name, or by the path of its .py file.

    Raises:
        DataError: if there is no such file.
    """
    if not plugin.endswith(".py"):
        importlib.import_module(plugin)
        return
    spec = spec_from_file_location(Path(plugin).stem, plugin)
    if spec is None or spec.loader is None or not Path(plugin).is_file():
        raise DataError(f"There is no plug-in {plugin!r}. Give the path of a .py file.")
    module = module_from_spec(spec)
    # Dataclasses look up the module of their class while they are made.
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)


def _die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when the parent ends, however it does (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before the kernel was told
        raise SystemExit(0)


def _read_inputs(job: Job) -> Inputs:
    self_ids: Ids | None = None if job.self_ids_path is None else np.load(job.self_ids_path)
    base = _mapped(job.base_path)
    original = base if job.original_path == job.base_path else _mapped(job.original_path)
    return Inputs(
        base=base, original=original, queries=_mapped(job.queries_path), self_ids=self_ids
    )


def _mapped(path: Path) -> Matrix:
    """Return a matrix mapped read-only, with every page in memory before any clock starts."""
    matrix = np.asarray(np.load(path, mmap_mode="r"))
    matrix.reshape(-1)[::_PAGE_FLOATS].sum()
    return matrix


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is told. Destructors of libraries could only take time, or crash.
    os._exit(0)
