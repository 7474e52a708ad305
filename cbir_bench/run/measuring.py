"""Measures one build and its trials, inside the worker."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.component import Setting, create
from cbir_bench.core.errors import (
    CbirBenchError,
    MissingPackageError,
    SettingError,
    StorageError,
)
from cbir_bench.core.registry import INDEXES, RERANKERS
from cbir_bench.indexes.library import load
from cbir_bench.measure.clock import timed
from cbir_bench.measure.simd import library_simd
from cbir_bench.run.building import build, save_and_load
from cbir_bench.run.passes import Passes
from cbir_bench.run.pipeline import Inputs, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.index import Index
    from cbir_bench.core.record import Status
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


class Parent:
    """The other end: where events go, and the permission to go on comes from."""

    def __init__(self, event_fd: int) -> None:
        self._fd = event_fd

    def tell(self, event: str, **values: Any) -> None:
        """Send an event."""
        line = json.dumps({"event": event, **values}).encode() + b"\n"
        while line:
            line = line[os.write(self._fd, line) :]

    def wait(self) -> frozenset[str]:
        """Return when the parent has dealt with an event, with the trials that need no look any more.

        Ends this process if the parent is gone.
        """
        line = sys.stdin.buffer.readline()
        if not line:
            raise SystemExit(0)
        return frozenset(json.loads(line)["skip"])


class Prepared:
    """The base-side state of re-rankers, made once per build and setting."""

    def __init__(self, inputs: Inputs, job: Job) -> None:
        self._inputs, self._job = inputs, job
        self._made: dict[Setting, tuple[Any, float]] = {}

    def get(self, setting: Setting, reranker: Reranker) -> tuple[Any, float]:
        """Return the state with the seconds that it took to make."""
        if setting not in self._made:
            base = self._inputs.base_for(reranker)
            made = timed(lambda: reranker.fit(base, self._job.space))
            self._made[setting] = made.value, made.seconds
        return self._made[setting]


@dataclass(kw_only=True, eq=False)
class Searched:
    """A trial whose quality is known, on its way to its numbers."""

    trial: JobTrial
    passes: Passes
    path: Path


@dataclass(kw_only=True, eq=False)
class Measurer:
    """Builds the index of a job, searches it for every trial, then measures all of them in turns.

    Attributes:
        job: what to do.
        inputs: the vectors.
        parent: hears about everything, and is waited for after every trial.
        cores: that several clients may run on.
        states: what re-rankers made of the base.
        library_seconds: spent inside the library's calls so far.
    """

    job: Job
    inputs: Inputs
    parent: Parent
    cores: tuple[int, ...] = ()
    states: Prepared = field(init=False)
    library_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.states = Prepared(self.inputs, self.job)

    def run(self) -> None:
        """Build, and measure every trial; failures become events."""
        trials = [trial for trial in self.job.trials if self._accepts(trial)]
        if not trials:
            return
        try:
            handle = self._build(trials[0])
        except Exception as error:  # noqa: BLE001  whatever a library raises, its trials have failed
            traceback.print_exc()
            for trial in trials:
                self._fail(trial, error)
            return
        searched = self._search(trials, handle)
        self._measure(searched)

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

    def _build(self, first: JobTrial) -> Any:
        self.parent.tell("progress", stage="build", trial_id="")
        index = _index(self.job.index)
        simd = {module: library_simd(load(module)) for module in index.REQUIRES}
        built = build(index, self.inputs.base, self.job)
        self.library_seconds += built.cost["build_seconds"]
        self.parent.tell("progress", stage="save", trial_id="")
        saved = save_and_load(index, built.handle, self.job, first, self.inputs)
        self.parent.tell("built", build={**built.cost, **saved}, simd=simd)
        return built.handle

    def _search(self, trials: list[JobTrial], handle: Any) -> list[Searched]:
        """Return the trials whose quality is known; the parent may say that others need no look."""
        searched: list[Searched] = []
        left_out: set[str] = set()
        for trial in trials:
            if trial.trial_id in left_out:
                continue
            try:
                searched.append(self._search_one(trial, handle))
            except Exception as error:  # noqa: BLE001  the next trial may work
                traceback.print_exc()
                self._fail(trial, error)
            else:
                left_out |= self.parent.wait()
        return [one for one in searched if one.trial.trial_id not in left_out]

    def _search_one(self, trial: JobTrial, handle: Any) -> Searched:
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
        ranked = timed(pipeline.rank_all)
        self.library_seconds += ranked.seconds
        self._progress("probe", trial)
        passes = Passes(
            pipeline=pipeline,
            measure=self.job.measure,
            n_threads=self.job.n_threads,
            cores=self.cores,
        )
        probe_us = passes.probe()
        path = self.job.out_folder / f"{trial.trial_id}.npz"
        self.parent.tell(
            "searched",
            trial_id=trial.trial_id,
            arrays=str(_write_arrays(path, {"ids": ranked.value.astype(np.int32)})),
            prepare_seconds=prepare_seconds,
            prepare_bytes=reranker.state_bytes(state),
            probe_us=probe_us,
        )
        return Searched(trial=trial, passes=passes, path=path)

    def _measure(self, searched: list[Searched]) -> None:
        """Make all passes of all trials in turns, then tell of each."""
        alive = list(searched)
        for number in range(self.job.measure.n_passes):
            for one in _rotated(alive, number):
                self._attempt(alive, one, "latency", lambda one: one.passes.next(number))  # noqa: B023
        for one in list(alive):
            self._attempt(alive, one, "latency", _until_quiet)
        if self.job.measure.clients:
            for number in range(self.job.measure.n_passes):
                for one in _rotated(alive, number):
                    self._attempt(alive, one, "clients", lambda one: one.passes.next_loads(number))  # noqa: B023
        for one in list(alive):
            self._attempt(alive, one, "tell", self._tell)

    def _attempt(
        self,
        alive: list[Searched],
        one: Searched,
        stage: str,
        what: Callable[[Searched], None],
    ) -> None:
        """Do something for a trial; where that fails, so has the trial, and the others go on."""
        self._progress(stage, one.trial)
        try:
            what(one)
        except Exception as error:  # noqa: BLE001  whatever a library raises
            traceback.print_exc()
            alive.remove(one)
            self._fail(one.trial, error)

    def _tell(self, one: Searched) -> None:
        arrays = one.passes.arrays()
        self.library_seconds += one.passes.library_seconds
        self.parent.tell(
            "trial",
            trial_id=one.trial.trial_id,
            arrays=str(_write_arrays(one.path, arrays)),
            library_seconds=self.library_seconds,
            **one.passes.numbers(),
        )
        self.parent.wait()

    def _progress(self, stage: str, trial: JobTrial) -> None:
        self.parent.tell("progress", stage=stage, trial_id=trial.trial_id)


def _until_quiet(one: Searched) -> None:
    while one.passes.repeat_disturbed():
        pass


def _rotated(trials: list[Searched], number: int) -> list[Searched]:
    """Return the trials with another one first in each pass, so that none always follows the same."""
    first = number % len(trials) if trials else 0
    return trials[first:] + trials[:first]


def _index(setting: Setting) -> Index:
    return create(INDEXES, setting.use, setting.values)


def _reranker(setting: Setting) -> Reranker:
    return create(RERANKERS, setting.use, setting.values)


def _write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    """Write the arrays under their final name only once they are complete.

    Raises:
        StorageError: if they cannot be written.
    """
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
    if isinstance(error, MissingPackageError):
        return "skipped", text
    if isinstance(error, SettingError):
        return "refused", text
    if isinstance(error, CbirBenchError):
        return "failed", text
    last = text.splitlines()[-1] if text else "no message"
    return "failed", f"{type(error).__name__}: {last}"
