"""Run a plan: freeze what is missing, then one worker per index build, then a record per trial."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import (
    CbirBenchError,
    DataError,
    InvalidArrayError,
    MissingPackageError,
    SettingError,
    StorageError,
)
from cbir_bench.core.record import BuildCost
from cbir_bench.core.registry import INDEXES
from cbir_bench.measure.alone import alone_on_this_machine
from cbir_bench.measure.environment import environment
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.records.atomic import write_file
from cbir_bench.records.store import RecordStore
from cbir_bench.run.evaluate import Ended, Part, Vectors, first_knn_recall, never_searched
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.making import Maker, text_model
from cbir_bench.run.measuring import verdict
from cbir_bench.run.model_files import write_model_files
from cbir_bench.run.notes import data_notes
from cbir_bench.run.plan import lacks_space, make_plan
from cbir_bench.run.process import run_job
from cbir_bench.run.pruning import Pruner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cbir_bench.core.record import Record
    from cbir_bench.core.trial import Trial
    from cbir_bench.embeddings.freeze import Readers
    from cbir_bench.run.evaluate import Searched
    from cbir_bench.run.places import Places
    from cbir_bench.run.plan import Build, Plan
    from cbir_bench.run.process import JobOutcome
    from cbir_bench.run.progress import Progress
    from cbir_bench.run.suite import Suite

_SCRATCH: Final = "scratch"
"""Folder of a run for vectors on their way to a worker; deleted when the run ends."""
_SILENT: Final = (
    "The worker ended without a word about this trial. --retry-failed measures it again."
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did.

    Attributes:
        n_measured: trials measured now.
        n_kept: trials that were complete before.
        n_results: trials with a result, of now or from before.
        skipped: reasons of the trials that were left out, with how many trials each.
        failures: reasons of the trials that failed, with how many trials each.
        measure_seconds: wall time of everything after the vectors were there.
        library_seconds: what of it was spent inside the libraries' calls.
    """

    n_measured: int
    n_kept: int
    n_results: int
    skipped: Counter[str]
    failures: Counter[str]
    measure_seconds: float = 0.0
    library_seconds: float = 0.0

    def summary(self) -> str:
        """Return what was done, and what failed and why."""
        lines = [f"{self.n_measured} trials measured, {self.n_kept} kept from before."]
        if self.skipped:
            n_skipped = self.skipped.total()
            lines.append(f"{n_skipped} trial{'s' if n_skipped > 1 else ''} left out:")
            lines += [f"  {count} x {reason}" for reason, count in self.skipped.most_common()]
        if self.failures:
            n_failures = self.failures.total()
            which = "1 trial has" if n_failures == 1 else f"{n_failures} trials have"
            lines.append(f"{which} no result, only a reason:")
            lines += [f"  {count} x {reason}" for reason, count in self.failures.most_common()]
            lines.append("--retry-failed measures them again.")
        return "\n".join(lines)


def run_suite(
    suite: Suite,
    folder: Path,
    places: Places,
    progress: Progress,
    *,
    retry_failed: bool = False,
    readers: Readers | None = None,
) -> Outcome:
    """Measure every trial of a suite that has no record yet.

    Args:
        suite: what to measure.
        folder: the run's folder; made if it is not there.
        places: where inputs are found and artefacts kept.
        progress: told about everything that takes time.
        retry_failed: also measure trials whose record is a failure.
        readers: who reads and prepares images while embeddings are frozen.

    Raises:
        CbirBenchError: if the suite cannot be run, or another process is running in the folder.
    """
    with _alone_in(folder):
        plan = make_plan(suite, places)
        for note in data_notes(plan):
            progress.say(note)
        _write_head(plan, folder)
        store = RecordStore(folder)
        done = _complete(plan, store, retry_failed=retry_failed)
        pruners = _pruners(plan, store, done)
        builds = [_pending(build, done) for build in plan.builds]
        builds = [build for build in builds if build.trials]
        sweep = _Sweep(folder, store, progress, len(done), pruners)
        maker = Maker(places, progress, readers)
        if builds:
            vectors = _Frozen(maker)
            vectors.make(builds)
            sweep.run(builds, vectors)
        write_model_files(plan.artefacts, maker, folder)
        skipped, failures = _without_result(plan, store)
        return Outcome(
            n_measured=sweep.n_measured,
            n_kept=len(done),
            n_results=len(plan.trials) - failures.total() - skipped.total(),
            skipped=skipped,
            failures=failures,
            measure_seconds=sweep.measure_seconds,
            library_seconds=sweep.library_seconds,
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the run folder's lock; the kernel lets go of it when the process ends in any way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise SettingError(
            f"The run folder {folder} cannot be used: {error.strerror}. Give another one with --out."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SettingError(
            f"Another process is running in {folder}. Wait for it, or give another folder with --out."
        ) from error
    try:
        yield
    finally:
        shutil.rmtree(folder / _SCRATCH, ignore_errors=True)
        os.close(lock)


def _write_head(plan: Plan, folder: Path) -> None:
    write_file(folder / "suite.toml", plan.suite.source.encode())
    head = {
        "suite": plan.suite.name,
        "description": plan.suite.description,
        "metrics": list(plan.suite.metrics),
        "trials": [trial.id for trial in plan.trials],
    }
    write_file(folder / "plan.json", json.dumps(head, indent=1).encode())


def _complete(plan: Plan, store: RecordStore, *, retry_failed: bool) -> frozenset[str]:
    """Return the ids of the plan's trials that need no measuring.

    What was left out once may be wanted now, under another ``stop_at``, and is decided anew.
    """
    status = {t.id: store.read(t.id).status for t in plan.trials if store.has(t.id)}
    again = {"skipped"} | ({s for s in status.values() if s != "ok"} if retry_failed else set())
    return frozenset(trial_id for trial_id, s in status.items() if s not in again)


def _pending(build: Build, done: frozenset[str]) -> Build:
    return replace(build, trials=tuple(trial for trial in build.trials if trial.id not in done))


def _pruners(plan: Plan, store: RecordStore, done: frozenset[str]) -> dict[str, Pruner]:
    """Return what each build has shown before."""
    pruners = {build.key: Pruner(plan.suite.stop_at) for build in plan.builds}
    for build in plan.builds:
        for trial in build.trials:
            record = store.read(trial.id) if trial.id in done else None
            if record is not None and record.latency is not None:
                recall = first_knn_recall(record.metrics)
                pruners[build.key].note(trial, recall, record.latency.p50_us)
    return pruners


def _without_result(plan: Plan, store: RecordStore) -> tuple[Counter[str], Counter[str]]:
    """Return the reasons of trials that were left out, and of those that failed."""
    records = [store.read(trial.id) for trial in plan.trials if store.has(trial.id)]
    skipped = Counter(r.reason for r in records if r.status == "skipped")
    failed = [r for r in records if r.status not in {"ok", "skipped"}]
    return skipped, Counter(f"{r.trial.index}: {r.status}: {r.reason}" for r in failed)


class _Frozen:
    """The vectors of every build, or why there are none."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._problems: dict[tuple[str, tuple[str, ...]], Ended] = {}

    def make(self, builds: list[Build]) -> None:
        """Make what is missing. A model that fails becomes a problem; the others go on.

        Raises:
            CbirBenchError: if no model at all gives vectors, or vectors that are there are damaged.
        """
        wanted = {_vectors_of(build): build for build in builds}
        errors: list[CbirBenchError] = []
        for key, build in wanted.items():
            there = False
            try:
                if build.truth.query_texts:
                    text_model(build.artefact)  # before anything is trained for nothing
                there = self._maker.has(build.artefact)
                self._maker.embeddings(build.artefact)
                there = False  # and whole, so what fails now is about the texts
                self.of(build)
            except (SettingError, InvalidArrayError, DataError, MissingPackageError) as error:
                if there or isinstance(error.__cause__, OSError):
                    raise  # a damaged file or a full disk is nothing that a model did
                errors.append(error)
                self._problems[key] = Ended(*verdict(error), log_tail="")
        if len(errors) == len(wanted):
            raise errors[0]

    def problem(self, build: Build) -> Ended | None:
        """Return why a build has no vectors; None if it has."""
        return self._problems.get(_vectors_of(build))

    def of(self, build: Build) -> Vectors:
        """Return the vectors of a build."""
        images = self._maker.embeddings(build.artefact)
        texts = build.truth.query_texts
        return Vectors(images, self._maker.texts(build.artefact, texts) if texts else None)


def _vectors_of(build: Build) -> tuple[str, tuple[str, ...]]:
    return build.artefact.key, build.truth.query_texts


class _Sweep:
    """Measures builds one after the other and keeps their records."""

    def __init__(
        self,
        folder: Path,
        store: RecordStore,
        progress: Progress,
        n_kept: int,
        pruners: dict[str, Pruner],
    ) -> None:
        self._folder, self._store, self._progress = folder, store, progress
        self._n_kept, self._pruners = n_kept, pruners
        self._n_done = 0
        self.n_measured = 0
        self.measure_seconds = self.library_seconds = 0.0

    def run(self, builds: list[Build], vectors: _Frozen) -> None:
        """Measure the trials of every build.

        Raises:
            StorageError: if the run's folder cannot be written, most likely because the disk is full.
        """
        self._progress.stage("measure", self._n_kept + sum(len(b.trials) for b in builds))
        self._step("")
        start = perf_counter()
        try:
            with alone_on_this_machine(self._progress.say):
                self._measure_all(builds, vectors)
        except OSError as error:
            raise StorageError(
                f"The run folder {self._folder} cannot be written: {error.strerror or error}. Make "
                "room or give another folder, and run the same command again; everything written "
                "before is kept."
            ) from error
        finally:
            self.measure_seconds = perf_counter() - start

    def _measure_all(self, builds: list[Build], vectors: _Frozen) -> None:
        part: Part | None = None
        for whole in builds:
            problem = vectors.problem(whole)
            if problem is not None:
                for trial in whole.trials:
                    self.keep(never_searched(trial, problem, whole.truth))
                continue
            build = self._without_pointless(whole)
            if not build.trials:
                continue
            if part is None or part.key != build.part:
                shutil.rmtree(self._folder / _SCRATCH, ignore_errors=True)
                part = Part(build, vectors.of(build), self._folder / _SCRATCH)
            self._measure(build, part)

    def _without_pointless(self, build: Build) -> Build:
        """Return a build without the trials that what was measured before has made pointless."""
        left = []
        for trial in build.trials:
            reason = _lacks_space(trial) or self._pruners[build.key].reason(trial)
            if reason is None:
                left.append(trial)
            else:
                self.keep(never_searched(trial, Ended("skipped", reason, ""), build.truth))
        return replace(build, trials=tuple(left))

    def _measure(self, build: Build, part: Part) -> None:
        self._step(_where(build.trials[0]))
        measuring = _Measuring(self, build, part, self._pruners[build.key])
        if part.problem is not None:
            measuring.fail_missing(part.problem)
            return
        while measuring.missing():
            job = _job(replace(build, trials=measuring.missing()), part)
            outcome = run_job(job, part.folder / build.key, measuring.on_event)
            self.library_seconds += measuring.library_seconds
            self._keep_log(build.key, outcome.log)
            measuring.ended(outcome)
            shutil.rmtree(part.folder / build.key, ignore_errors=True)

    def keep(self, record: Record) -> None:
        """Write a record and say if it is a failure."""
        self._store.write(record)
        self._n_done += 1
        self.n_measured += record.status == "ok"
        if record.status not in {"ok", "skipped"}:
            self._progress.say(f"{_where(record.trial)}: {record.status}: {record.reason}")
        self._step(_where(record.trial))

    def _step(self, detail: str) -> None:
        self._progress.step(self._n_kept + self._n_done, detail)

    def _keep_log(self, key: str, log: bytes) -> None:
        if log:
            (self._folder / "logs").mkdir(exist_ok=True)
            write_file(self._folder / "logs" / f"{key}.log", log)


class _Measuring:
    """Turns the events of one build's workers into records as they come."""

    def __init__(self, sweep: _Sweep, build: Build, part: Part, pruner: Pruner) -> None:
        self._sweep, self._part, self._pruner = sweep, part, pruner
        self._trials = {trial.id: trial for trial in build.trials}
        self._told: set[str] = set()
        self._searched: dict[str, Searched] = {}
        self._build: BuildCost | None = None
        self.environment = environment()
        self.library_seconds = 0.0

    def missing(self) -> tuple[Trial, ...]:
        """Return the trials that have no record yet."""
        return tuple(trial for key, trial in self._trials.items() if key not in self._told)

    def on_event(self, event: dict[str, Any]) -> list[str]:
        """Keep a record when a trial ended; the worker waits meanwhile.

        Returns:
            The trials that need no look any more.
        """
        kind = event["event"]
        if kind == "started":
            self.environment["worker_cores"] = event["cores"]
            self.library_seconds = 0.0
        elif kind == "built":
            self._build = BuildCost(**event["build"])
            self.environment["simd"] = event["simd"]
        elif kind == "searched":
            return self._note(self._trials[event["trial_id"]], event)
        elif kind == "trial":
            trial = self._trials[event["trial_id"]]
            self._told.add(trial.id)
            self.library_seconds = event["library_seconds"]
            searched = self._searched.pop(trial.id)
            record = self._part.record(trial, searched, event, self._build, self.environment)
            self._sweep.keep(record)
        elif kind == "trial_failed":
            ended = Ended(event["status"], event["reason"], event["log_tail"])
            self._fail(event["trial_id"], ended)
        elif kind == "storage":
            raise StorageError(event["reason"])
        return []

    def ended(self, outcome: JobOutcome) -> None:
        """Keep the failure that a worker's end is.

        It is the failure of the trial that the worker was busy with; the others get another worker. What
        ended a build, or was none of the trials' doing, is the failure of all that have no record.
        """
        ended = Ended(outcome.status, outcome.reason, outcome.log_tail)
        if outcome.status == "ok":
            ended = Ended("failed", _SILENT, outcome.log_tail)
        if outcome.trial_id in {trial.id for trial in self.missing()}:
            self._fail(outcome.trial_id, ended)
        else:
            self.fail_missing(ended)

    def fail_missing(self, ended: Ended) -> None:
        """Keep a failure for every trial that has no record."""
        for trial in self.missing():
            self._fail(trial.id, ended)

    def _note(self, trial: Trial, event: dict[str, Any]) -> list[str]:
        """Score a trial's answers; return the trials that they have made pointless."""
        try:
            searched = self._searched[trial.id] = self._part.searched(trial, event)
        except CbirBenchError as error:
            self._fail(trial.id, Ended(*verdict(error), log_tail=""))
            return [trial.id]
        self._pruner.note(trial, first_knn_recall(searched.evaluation.values), searched.probe_us)
        skipped = []
        for other in self.missing():
            reason = None if other.id in self._searched else self._pruner.reason(other)
            if reason is not None:
                self._fail(other.id, Ended("skipped", reason, ""))
                skipped.append(other.id)
        return skipped

    def _fail(self, trial_id: str, ended: Ended) -> None:
        self._told.add(trial_id)
        self._searched.pop(trial_id, None)
        trial = self._trials[trial_id]
        self._sweep.keep(self._part.failure(trial, ended, self._build, self.environment))


def _lacks_space(trial: Trial) -> str | None:
    """Return why an index cannot search a trial's space, if it cannot."""
    spaces = INDEXES.get(trial.index.use).SPACES
    return None if trial.space in spaces else lacks_space(trial.index.use, trial.space, spaces)


def _job(build: Build, part: Part) -> Job:
    first = build.trials[0]
    return Job(
        build_key=build.key,
        index=first.index,
        space=first.space,
        n_threads=first.n_threads,
        base_path=part.base_path,
        original_path=part.original_path,
        queries_path=part.queries_path,
        self_ids_path=part.self_ids_path,
        measure=MeasureSettings(**first.measure.values),
        trials=tuple(
            JobTrial(trial_id=t.id, index=t.index, reranker=t.reranker, k=t.k) for t in build.trials
        ),
        out_folder=part.folder / build.key,
    )


def _where(trial: Trial) -> str:
    """Return a trial in one line."""
    chain = [
        trial.dataset,
        trial.model,
        trial.transform,
        trial.protocol,
        trial.quantizer,
        trial.index,
        trial.reranker,
    ]
    return " > ".join(str(setting) for setting in chain if setting.use != "none")
