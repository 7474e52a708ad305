"""Builds an index and says what that cost; saves it, and has a fresh process load it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.component import create
from cbir_bench.core.errors import DataError, StorageError
from cbir_bench.core.index import TrainedIndex
from cbir_bench.core.registry import INDEXES
from cbir_bench.measure.clock import Timed, timed
from cbir_bench.measure.memory import PeakMemory, private_bytes
from cbir_bench.run.pipeline import searched_by

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.index import Index
    from cbir_bench.run.job import Job, JobTrial
    from cbir_bench.run.pipeline import Inputs

_FULL_BYTES: Final = 8192
"""Less free space than this is a full disk: the last blocks are not worth a distinction."""
_COMPARED: Final = 300
"""Queries whose answers a loaded index is compared by."""


class Built(NamedTuple):
    """An index, and what its build cost: some of the fields of ``BuildCost``, as JSON."""

    handle: Any
    cost: dict[str, Any]


class _Steps(NamedTuple):
    """The whole build, and its two steps where the library has them."""

    whole: Timed
    train_seconds: float | None = None
    add_seconds: float | None = None


def build(index: Index, base: Matrix, job: Job) -> Built:
    """Return the built index of a job and the cost of the build."""
    before, peak = private_bytes(), PeakMemory()
    steps = _steps(index, base, job)
    peak_bytes = peak.growth()
    cost = {
        "build_key": job.build_key,
        "build_seconds": steps.whole.seconds,
        "build_cpu_seconds": steps.whole.cpu_seconds,
        "train_seconds": steps.train_seconds,
        "add_seconds": steps.add_seconds,
        "private_growth_bytes": max(0, private_bytes() - before),
        "peak_build_bytes": peak_bytes,
        "theoretical_bytes": index.theoretical_bytes(*base.shape),
        "input_bytes": base.nbytes,
    }
    return Built(steps.whole.value, cost)


def _steps(index: Index, base: Matrix, job: Job) -> _Steps:
    if not isinstance(index, TrainedIndex):
        return _Steps(timed(lambda: index.build(base, job.space, job.n_threads)))
    trained = timed(lambda: index.train(base, job.space, job.n_threads))
    added = timed(lambda: index.add(trained.value, base, job.n_threads))
    whole = Timed(
        trained.value, trained.seconds + added.seconds, trained.cpu_seconds + added.cpu_seconds
    )
    return _Steps(whole, trained.seconds, added.seconds)


def save_and_load(
    index: Index, handle: Any, job: Job, first: JobTrial, inputs: Inputs
) -> dict[str, Any]:
    """Return what saving and loading the index take, and whether the loaded one answers alike.

    The saved index is deleted at once. That it cannot be loaded is told, and is no failure of its trials.

    Args:
        index: built ``handle``.
        handle: the built index.
        job: says where to save, and whether to load.
        first: the trial whose search options are compared.
        inputs: with the queries.

    Raises:
        StorageError: if the disk is full, which some libraries do not notice.
        DataError: if the index cannot be saved.
    """
    try:
        with TemporaryDirectory(dir=job.out_folder) as name:
            folder = Path(name) / "index"
            folder.mkdir()
            try:
                saved = timed(lambda: index.save(handle, folder))
            finally:
                _refuse_full_disk(job.out_folder)
            cost = {"index_bytes": _bytes_in(folder), "save_seconds": saved.seconds}
            if job.measure.check_saved:
                cost |= _loaded(folder, handle, job, first, inputs)
            return cost
    except OSError as error:
        raise DataError(
            f"The index could not be saved to see its size: {error}. Free space in {job.out_folder}."
        ) from error


def _loaded(folder: Path, handle: Any, job: Job, first: JobTrial, inputs: Inputs) -> dict[str, Any]:
    """Return what a fresh process says that loads the index, or why it could not."""
    task = folder.parent / "load.json"
    task.write_text(json.dumps({"job": job.to_json(), "trial": first.to_json()}), encoding="utf-8")
    answers = folder.parent / "answers.npz"
    command = [
        sys.executable,
        "-P",
        "-m",
        "cbir_bench.run.loading",
        str(task),
        str(folder),
        str(answers),
    ]
    try:
        ended = subprocess.run(  # noqa: S603  our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=job.measure.timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        limit = job.measure.timeout_seconds
        return {"load_problem": f"A fresh process did not load it within {limit:g} s."}
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        sys.stderr.write(ended.stderr.decode("utf-8", "replace"))
        return {"load_problem": f"A fresh process could not load it: {said[-1]}"}
    told = json.loads(ended.stdout.decode().splitlines()[-1])
    trial_index = create(INDEXES, first.index.use, first.index.values)
    depth = inputs.depth(first.k)
    trial_index.configure(handle, job.n_threads)
    own = searched_by(trial_index, handle, inputs.queries[:_COMPARED], depth)
    with np.load(answers) as file:
        same = bool(np.array_equal(own, file["ids"]))
    return {**told, "loads_identically": same}


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _refuse_full_disk(folder: Path) -> None:
    usage = disk_usage(folder)
    if usage.total and usage.free < _FULL_BYTES:  # some file systems in user space tell nothing
        raise StorageError(
            f"The disk of {folder} is full. Make room or give another folder, and run the same "
            "command again; everything written before is kept."
        )
