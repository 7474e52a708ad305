"""Measures one build and its trials, inside the worker."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.component import Setting, create
from cbir_bench.core.errors import (
    CbirBenchError,
    DataError,
    MissingPackageError,
    SettingError,
    StorageError,
)
from cbir_bench.core.record import BuildCost, Status
from cbir_bench.core.registry import INDEXES, RERANKERS
from cbir_bench.indexes.library import load
from cbir_bench.measure.clock import batch_seconds, single_latency, timed
from cbir_bench.measure.memory import PeakMemory, private_bytes
from cbir_bench.run.pipeline import Inputs, Pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.index import Index
    from cbir_bench.core.reranker import Reranker
    from cbir_bench.run.job import Job, JobTrial

_NO_MEMORY: Final = (
    "bad_alloc",
    "not enough memory",
    "cannot allocate memory",
    "out of memory",
    "failed to map segment",
)
"""What libraries, and Python's own imports, put into another exception where memory ran out."""
_FULL_BYTES: Final = 8192
"""Less free space than this is a full disk: the last blocks are not worth a distinction."""


class Parent:
    """The other end: where events go, and the permission to go on comes from."""

    def __init__(self, event_fd: int) -> None:
        self._fd = event_fd

    def tell(self, event: str, **values: Any) -> None:
        """Send an event."""
        line = json.dumps({"event": event, **values}).encode() + b"\n"
        while line:
            line = line[os.write(self._fd, line) :]

    def wait(self) -> None:
        """Return when the parent has dealt with a trial; end this process if it is gone."""
        if not sys.stdin.buffer.readline():
            raise SystemExit(0)


class Prepared:
    """The base-side state of re-rankers, made once per build and setting."""

    def __init__(self, inputs: Inputs, job: Job) -> None:
        self._inputs, self._job = inputs, job
        self._made: dict[Setting, tuple[Any, float]] = {}

    def get(self, setting: Setting, reranker: Reranker) -> tuple[Any, float]:
        """Return the state with the seconds that it took to make."""
        if setting not in self._made:
            made = timed(lambda: reranker.fit(self._inputs.base_for(reranker), self._job.space))
            self._made[setting] = made.value, made.seconds
        return self._made[setting]


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Builds the index of a job, and measures its trials one after the other.

    Attributes:
        job: what to do.
        inputs: the vectors.
        parent: hears about everything, and is waited for after every trial.
        states: what re-rankers made of the base.
    """

    job: Job
    inputs: Inputs
    parent: Parent
    states: Prepared = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", Prepared(self.inputs, self.job))

    def run(self) -> None:
        """Build, and measure every trial; failures become events."""
        trials = [trial for trial in self.job.trials if self._accepts(trial)]
        if not trials:
            return
        try:
            handle = self._build()
        except Exception as error:  # noqa: BLE001  whatever a library raises, its trials have failed
            traceback.print_exc()
            for trial in trials:
                self._fail(trial, error)
            return
        for trial in trials:
            try:
                self._measure(trial, handle)
            except Exception as error:  # noqa: BLE001  the next trial may work
                traceback.print_exc()
                self._fail(trial, error)
            else:
                self.parent.wait()

    def _accepts(self, trial: JobTrial) -> bool:
        """Return whether a trial can work; tell the parent why if it cannot."""
        n_base, dim = self.inputs.base.shape
        space = self.job.space
        try:
            index, reranker = _index(trial.index), _reranker(trial.reranker)
            depth = self.inputs.depth(reranker.depth(trial.k))
            index.check(k=depth, n_base=n_base, dim=dim, space=space)
            reranker.check(k=trial.k, space=space)
        except Exception as error:  # noqa: BLE001  it may be somebody else's component, or broken
            if not isinstance(error, CbirBenchError):
                traceback.print_exc()
            self._fail(trial, error)
            return False
        return True

    def _fail(self, trial: JobTrial, error: Exception) -> None:
        """Tell how a trial ended; where nothing can be written, that the run has to."""
        if isinstance(error, StorageError):
            self.parent.tell("storage", reason=str(error))
            self.parent.wait()
        status, reason = verdict(error)
        self.parent.tell("trial_failed", trial_id=trial.trial_id, status=status, reason=reason)
        self.parent.wait()

    def _build(self) -> Any:
        job, base = self.job, self.inputs.base
        self.parent.tell("progress", stage="build", trial_id="")
        index = _index(job.index)
        for module in index.REQUIRES:
            load(module)
        before, peak = private_bytes(), PeakMemory()
        built = timed(lambda: index.build(base, job.space, job.n_threads))
        peak_bytes = peak.growth()
        cost = BuildCost(
            build_key=job.build_key,
            build_seconds=built.seconds,
            build_cpu_seconds=built.cpu_seconds,
            private_growth_bytes=max(0, private_bytes() - before),
            peak_build_bytes=peak_bytes,
            index_bytes=_saved_bytes(index, built.value, job.out_folder),
            theoretical_bytes=index.theoretical_bytes(*base.shape),
        )
        self.parent.tell("built", build=asdict(cost))
        return built.value

    def _measure(self, trial: JobTrial, handle: Any) -> None:
        index, reranker = _index(trial.index), _reranker(trial.reranker)
        self._progress("prepare", trial)
        state, prepare_seconds = self.states.get(trial.reranker, reranker)
        pipeline = Pipeline(
            inputs=self.inputs,
            index=index,
            handle=handle,
            reranker=reranker,
            state=state,
            k=trial.k,
        )
        self._progress("quality", trial)
        index.configure(handle, self.job.n_threads)
        arrays: dict[str, NDArray[Any]] = {"ids": pipeline.rank_all()}
        self._progress("batch", trial)
        arrays["batch_seconds"], batch_qps = self._batch(pipeline)
        self._progress("latency", trial)
        index.configure(handle, 1)
        arrays["latency_queries"], arrays["latency_ns"] = self._latency(pipeline)
        self.parent.tell(
            "trial",
            trial_id=trial.trial_id,
            arrays=str(_write_arrays(self.job.out_folder / f"{trial.trial_id}.npz", arrays)),
            prepare_seconds=prepare_seconds,
            prepare_bytes=reranker.state_bytes(state),
            batch_qps=batch_qps,
        )

    def _batch(self, pipeline: Pipeline) -> tuple[NDArray[np.float64], float | None]:
        """Return the seconds of each pass, and the queries per second of the median one."""
        measure = self.job.measure
        rows = _sample(len(self.inputs.queries), measure.batch_size, measure.seed)
        call = pipeline.batch_call(rows)
        if call is None:
            return np.empty(0), None
        seconds = batch_seconds(call, measure.n_passes)
        return seconds, len(rows) / float(np.median(seconds))

    def _latency(self, pipeline: Pipeline) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ``(n,)`` rows that were asked, and ``(n_passes, n)`` nanoseconds."""
        measure = self.job.measure
        rows = _sample(len(self.inputs.queries), measure.n_latency_queries, measure.seed)
        calls = pipeline.single_calls(rows)
        samples = single_latency(
            calls.answer,
            calls.prepared,
            n_passes=measure.n_passes,
            n_warmup=measure.n_warmup,
            seed=measure.seed,
        )
        return rows, samples

    def _progress(self, stage: str, trial: JobTrial) -> None:
        self.parent.tell("progress", stage=stage, trial_id=trial.trial_id)


def _index(setting: Setting) -> Index:
    return create(INDEXES, setting.use, setting.values)


def _reranker(setting: Setting) -> Reranker:
    return create(RERANKERS, setting.use, setting.values)


def _sample(n: int, size: int, seed: int) -> NDArray[np.int64]:
    """Return ``min(n, size)`` of ``n`` rows, ascending, the same for the same seed."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, size), replace=False))


def _saved_bytes(index: Index, handle: Any, folder: Path) -> int:
    """Return what the saved index takes on disk; it is deleted at once.

    Raises:
        StorageError: if the disk is full, which some libraries do not notice.
        DataError: if it cannot be written.
    """
    try:
        with TemporaryDirectory(dir=folder) as name:
            try:
                index.save(handle, Path(name))
            finally:
                _refuse_full_disk(folder)
            return sum(f.stat().st_size for f in Path(name).rglob("*") if f.is_file())
    except OSError as error:
        raise DataError(
            f"The index could not be saved to see its size: {error}. Free space in {folder}."
        ) from error


def _refuse_full_disk(folder: Path) -> None:
    usage = disk_usage(folder)
    if usage.total and usage.free < _FULL_BYTES:  # some file systems in user space tell nothing
        raise StorageError(
            f"The disk of {folder} is full. Make room or give another folder, and run the same "
            "command again; everything written before is kept."
        )


def _write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    """Write the arrays under their final name only once they are complete.

    Raises:
        StorageError: if they cannot be written.
    """
    arrays = {**arrays, "ids": arrays["ids"].astype(np.int32)}
    partial = path.with_suffix(".tmp")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path.parent} cannot be written: {error.strerror or error}. Make room or give another "
            "folder, and run the same command again; everything written before is kept."
        ) from error
    return path


def verdict(error: Exception) -> tuple[Status, str]:
    """Return the kind of failure, and a sentence for it."""
    text = str(error).strip()
    if isinstance(error, MemoryError) or any(mark in text.lower() for mark in _NO_MEMORY):
        return "out_of_memory", (
            f"Memory ran out: {text or 'an allocation failed'}. "
            "Choose a smaller index, or raise [measure] memory_limit_bytes."
        )
    if isinstance(error, SettingError | MissingPackageError):
        return "refused", text
    if isinstance(error, CbirBenchError):
        return "failed", text
    last = text.splitlines()[-1] if text else "no message"
    return "failed", f"{type(error).__name__}: {last}"
