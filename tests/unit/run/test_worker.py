"""A worker, started for real: what it measures, and what becomes of every way to fail."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cbir_bench.core.component import create, setting_of
from cbir_bench.core.errors import StorageError
from cbir_bench.core.registry import INDEXES, RERANKERS
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.run.job import Job, JobTrial
from cbir_bench.run.process import run_job
from cbir_bench.run.worker import load_plugin

PLUGIN = str(Path(__file__).with_name("faulty_indexes.py"))
N_BASE, N_QUERIES, DIM = 60, 12, 8


@pytest.fixture(scope="module", autouse=True)
def _faulty_indexes_are_known():
    """The parent makes settings from component classes, so it needs the plug-in, too."""
    known = dict(INDEXES._components)
    INDEXES.names()
    discovered = dict(INDEXES._components)
    load_plugin(PLUGIN)
    yield
    INDEXES._components.clear()
    INDEXES._components.update(discovered or known)


def setting(registry, use, **options):
    return setting_of(use, create(registry, use, options))


def vectors(n, seed):
    rows = np.random.default_rng(seed).standard_normal((n, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_job(folder, trials, *, n_base=N_BASE, leave_one_out=False, **measure):
    """Return a job over a small base; ``trials`` are (index options, re-ranker) of one index."""
    folder.mkdir(exist_ok=True)
    base = vectors(n_base, 0)
    queries = base[:N_QUERIES] if leave_one_out else vectors(N_QUERIES, 1)
    np.save(folder / "base.npy", base)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "self.npy", np.arange(N_QUERIES))
    job_trials = tuple(
        JobTrial(trial_id=f"t{i}", index=index, reranker=reranker, k=5)
        for i, (index, reranker) in enumerate(trials)
    )
    settings = {"n_latency_queries": 4, "n_passes": 2, "n_warmup": 1, "batch_sizes": (8,)}
    settings |= {"check_saved": False, "max_disturbance": 1.0}
    return Job(
        build_key="build",
        index=job_trials[0].index,
        space="cosine",
        n_threads=1,
        base_path=folder / "base.npy",
        original_path=folder / "base.npy",
        queries_path=folder / "queries.npy",
        self_ids_path=folder / "self.npy" if leave_one_out else None,
        measure=MeasureSettings(**{**settings, **measure}),
        trials=job_trials,
        out_folder=folder / "out",
        plugins=(PLUGIN,),
    )


def plain(use, **options):
    return setting(INDEXES, use, **options), setting(RERANKERS, "none")


def run(job, folder, timeout=60.0):
    events = []

    def hear(event):
        if event["event"] == "searched":  # the samples will be written over them
            with np.load(event["arrays"]) as file:
                event = {**event, "ids": file["ids"]}
        events.append(event)

    outcome = run_job(job, folder / "job", hear, timeout)
    return outcome, events


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def answers(events, trial_id="t0"):
    """Return the ids that a worker found for all queries in one of its trials."""
    (searched,) = [e for e in of_kind(events, "searched") if e["trial_id"] == trial_id]
    return searched["ids"]


def exact_ids(job):
    base, queries = np.load(job.base_path), np.load(job.queries_path)
    return np.argsort(-(queries @ base.T), axis=1, kind="stable")


class TestMeasuring:
    def test_a_trial_comes_back_with_ids_and_every_sample(self, tmp_path):
        """The parent computes all metrics and percentiles from these arrays alone."""
        job = make_job(tmp_path, [plain("exact")])

        outcome, events = run(job, tmp_path)

        assert (outcome.status, outcome.reason, outcome.exit_status) == ("ok", "", "exit 0")
        np.testing.assert_array_equal(answers(events), exact_ids(job)[:, :5])
        (trial,) = of_kind(events, "trial")
        arrays = np.load(trial["arrays"])
        assert arrays["latency_ns"].shape == arrays["latency_cpu_ns"].shape == (2, 4)
        assert arrays["latency_ns"].min() > 0
        assert len(set(arrays["latency_queries"])) == 4
        (batch,) = trial["batches"]
        assert (batch["batch_size"], batch["n_calls"]) == (8, 1)
        assert batch["qps"] > 0
        assert trial["loads"] == []
        assert len(trial["quiet"]["lost"]) == 2
        assert of_kind(events, "searched")[0]["probe_us"] > 0
        assert trial["library_seconds"] > 0

    def test_events_come_in_order(self, tmp_path):
        """The parent's progress bar and its records rely on the order."""
        job = make_job(tmp_path, [plain("exact"), plain("exact")])

        _, events = run(job, tmp_path)

        kinds = [event["event"] for event in events if event["event"] != "progress"]
        assert kinds == ["started", "built", *["searched"] * 2, *["trial"] * 2, "done"]
        stages = [e["stage"] for e in events if e.get("trial_id") == "t1" and "stage" in e]
        assert stages == ["prepare", "quality", "probe", *["latency"] * 3, "tell"]

    def test_trials_of_a_build_take_turns(self, tmp_path):
        """A machine that slows down for a minute would else look like one slow setting."""
        job = make_job(tmp_path, [plain("exact"), plain("exact")])

        _, events = run(job, tmp_path)

        turns = [e["trial_id"] for e in events if e.get("stage") == "latency"]
        assert turns == ["t0", "t1", "t1", "t0", "t0", "t1"]

    def test_batch_sizes_and_clients_are_measured_as_asked(self, tmp_path):
        """Throughput without its batch size, or latency without its load, says little."""
        job = make_job(
            tmp_path,
            [plain("exact")],
            batch_sizes=(1, 5, 100),
            clients=(1, 3),
            clients_as=("threads", "processes"),
        )

        outcome, events = run(job, tmp_path)

        assert outcome.status == "ok"
        (trial,) = of_kind(events, "trial")
        sizes = [(batch["batch_size"], batch["n_calls"]) for batch in trial["batches"]]
        assert sizes == [(1, 4), (5, 1), (N_QUERIES, 1)]
        loads = [(load["kind"], load["clients"], len(load["seconds"])) for load in trial["loads"]]
        assert loads == [(k, n, 2) for k in ("threads", "processes") for n in (1, 3)]
        arrays = np.load(trial["arrays"])
        assert arrays["load_processes_3_ns"].shape == (2 * 3, 4)
        assert arrays["load_processes_3_ns"].min() > 0

    def test_garbage_is_not_collected_between_small_batches(self, tmp_path, monkeypatch):
        """A collection walks all objects, and each batch of one would be answered with cold caches."""
        told = tmp_path / "told"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = make_job(tmp_path, [plain("counts-collections")], batch_sizes=(1,))

        run(job, tmp_path)

        per_batch = [int(line) for line in told.read_text().split()]
        assert len(per_batch) > 8
        assert sum(b > a for a, b in itertools.pairwise(per_batch)) <= 4

    def test_a_disturbed_pass_is_measured_again_up_to_a_limit(self, tmp_path):
        """The least disturbed passes are kept; a machine that is never quiet must not hang the run."""
        job = make_job(
            tmp_path, [plain("disturbed", waits="0.5 0.0 0.3 0.0 0.4")], max_disturbance=0.1
        )

        _, events = run(job, tmp_path)

        (trial,) = of_kind(events, "trial")
        quiet = trial["quiet"]
        assert quiet["lost"] == [0.5, 0.0, 0.3, 0.0]
        assert (quiet["n_repeated"], quiet["n_disturbed"], quiet["worst"]) == (2, 0, 0.0)
        assert np.load(trial["arrays"])["latency_ns"].shape == (4, 4)

    def test_a_saved_index_is_loaded_by_a_fresh_process(self, tmp_path):
        """What is searched in production was loaded from a file."""
        job = make_job(tmp_path, [plain("exact")], check_saved=True)

        _, events = run(job, tmp_path)

        build = of_kind(events, "built")[0]["build"]
        assert build["loads_identically"] is True
        assert build["load_seconds"] > 0
        assert build["save_seconds"] > 0
        assert build["loaded_bytes"] >= 0
        assert "load_problem" not in build

    @pytest.mark.parametrize(
        ("kind", "identical", "problem"),
        [("forgets", False, None), ("fails", None, "says no"), ("dies", None, "said nothing")],
    )
    def test_an_index_that_cannot_be_loaded_is_told_of(self, tmp_path, kind, identical, problem):
        """Its trials are measured all the same: they search the index that was built."""
        job = make_job(tmp_path, [plain("loads-badly", kind=kind)], check_saved=True)

        outcome, events = run(job, tmp_path)

        build = of_kind(events, "built")[0]["build"]
        assert outcome.status == "ok"
        assert build.get("loads_identically") is identical
        assert (problem or "") in build.get("load_problem", "")
        assert len(of_kind(events, "trial")) == 1

    def test_learning_and_adding_are_timed_apart_where_they_are_apart(self, tmp_path):
        """A service that adds images every day pays for the second alone."""
        build = {}
        for use in ("trains-and-adds", "exact"):
            job = make_job(tmp_path / use, [plain(use)])
            _, events = run(job, tmp_path / use)
            build[use] = of_kind(events, "built")[0]["build"]

        apart = build["trains-and-adds"]
        assert apart["train_seconds"] >= 0.02
        assert apart["add_seconds"] >= 0.04
        assert apart["build_seconds"] == pytest.approx(
            apart["train_seconds"] + apart["add_seconds"]
        )
        assert build["exact"]["train_seconds"] is None

    def test_trials_that_the_parent_calls_pointless_are_left_out(self, tmp_path):
        """Searching all queries with settings that can only be dearer wastes hours."""
        job = make_job(tmp_path, [plain("exact")] * 3)
        events = []

        def prune(event):
            events.append(event)
            return ["t1"] if event["event"] == "searched" else []

        outcome = run_job(job, tmp_path / "job", prune, 60)

        assert outcome.status == "ok"
        assert [e["trial_id"] for e in of_kind(events, "trial")] == ["t0", "t2"]
        assert not of_kind(events, "trial_failed")

    def test_the_peak_of_a_build_is_sampled_from_outside(self, tmp_path):
        """The kernel's mark counts mapped files, too; and some kernels do not let it be reset."""
        job = make_job(tmp_path, [plain("knows-memory", seconds=0.3)])

        _, events = run(job, tmp_path)

        build = of_kind(events, "built")[0]["build"]
        assert 120 * 2**20 < build["sampled_peak_bytes"] < 150 * 2**20
        assert build["input_bytes"] == 4 * N_BASE * DIM

    def test_a_query_in_the_base_is_left_out_by_its_id(self, tmp_path):
        """Leave-one-out would otherwise score every query for finding itself."""
        job = make_job(tmp_path, [plain("exact")], leave_one_out=True)

        _, events = run(job, tmp_path)

        ids = answers(events)
        np.testing.assert_array_equal(ids, exact_ids(job)[:, 1:6])

    @pytest.mark.parametrize("leave_one_out", [False, True])
    def test_query_expansion_searches_the_live_index_again(self, tmp_path, leave_one_out):
        """Its answer is the index's answer to the expanded query, itself left out both times."""
        reranker = setting(RERANKERS, "alpha-qe", n=3, alpha=1.0)
        job = make_job(
            tmp_path, [(setting(INDEXES, "exact"), reranker)], leave_one_out=leave_one_out
        )

        outcome, events = run(job, tmp_path)

        assert outcome.status == "ok"
        actual = answers(events)
        base, queries = np.load(job.base_path), np.load(job.queries_path)
        for row, query in enumerate(queries):
            first = [i for i in exact_ids(job)[row] if not (leave_one_out and i == row)][:3]
            expanded = query + sum(
                (base[i] @ query) * base[i] for i in first if base[i] @ query > 0
            )
            again = np.argsort(-(base @ expanded), kind="stable")
            expected = [i for i in again if not (leave_one_out and i == row)][:5]
            assert actual[row].tolist() == expected

    def test_a_library_without_batch_search_has_no_batch_throughput(self, tmp_path):
        """annoy answers one query per call; a made-up batch would be a lie."""
        job = make_job(tmp_path, [plain("annoy", trees=3, search_k=60)])

        _, events = run(job, tmp_path)

        (trial,) = of_kind(events, "trial")
        assert trial["batches"] == []
        np.testing.assert_array_equal(answers(events), exact_ids(job)[:, :5])

    def test_the_four_costs_of_a_build_are_told_apart(self, tmp_path):
        """What is kept, what was needed for a moment, and what lies on disk are different numbers."""
        job = make_job(tmp_path, [plain("knows-memory")])

        _, events = run(job, tmp_path)

        build = of_kind(events, "built")[0]["build"]
        mebibyte = 2**20
        assert 31 * mebibyte < build["private_growth_bytes"] < 36 * mebibyte
        assert 120 * mebibyte < build["peak_build_bytes"] < 140 * mebibyte
        assert build["index_bytes"] == 8
        assert build["theoretical_bytes"] == 4 * N_BASE * DIM
        assert build["build_seconds"] > 0
        assert build["build_cpu_seconds"] > 0

    def test_the_saved_index_is_deleted(self, tmp_path):
        """A sweep of hundreds of builds must not fill the disk."""
        job = make_job(tmp_path, [plain("exact")])

        run(job, tmp_path)

        assert [path.name for path in job.out_folder.iterdir()] == ["t0.npz"]

    def test_many_search_settings_cost_one_build(self, tmp_path):
        """Building dominates a sweep."""
        trials = [plain("hnswlib", ef_search=ef) for ef in (5, 10, 20, 40, 60)]
        job = make_job(tmp_path, trials)

        _, events = run(job, tmp_path)

        assert len(of_kind(events, "built")) == 1
        assert len(of_kind(events, "trial")) == 5

    @pytest.mark.parametrize(
        ("use", "options"),
        [
            ("annoy", {"trees": 2, "search_k": 5}),
            ("faiss", {"factory": "IVF16,PQ4x4fs", "nprobe": 1}),
            ("faiss", {"factory": "HNSW4", "ef_search": 5, "ef_construction": 8}),
            ("hnswlib", {"m": 2, "ef_search": 5, "ef_construction": 8}),
            ("nmslib", {"m": 2, "ef_search": 5, "ef_construction": 8}),
            ("scann", {"leaves": 16, "leaves_to_search": 1, "reorder_type": "none"}),
        ],
    )
    def test_two_workers_build_the_same_index(self, tmp_path, use, options):
        """With one thread, quality numbers are identical on every run; coarse search would show it."""
        found = []
        for attempt in ("first", "second"):
            job = make_job(tmp_path / attempt, [plain(use, **options)], n_base=400)
            _, events = run(job, tmp_path / attempt)
            found.append(answers(events))

        np.testing.assert_array_equal(found[0], found[1])
        assert not np.array_equal(found[0], exact_ids(job)[:, :5]), "too fine to show anything"

    def test_the_worker_waits_while_the_parent_works(self, tmp_path):
        """Nothing else of ours may run while it measures."""
        job = make_job(tmp_path, [plain("exact"), plain("exact")])
        seen = []

        def slow(event):
            seen.append((event["event"], event.get("trial_id")))
            if event["event"] == "searched" and event["trial_id"] == "t0":
                time.sleep(0.3)
                seen.append(("written", (job.out_folder / "t1.npz").exists()))

        run_job(job, tmp_path / "job", slow)

        assert ("written", False) in seen

    def test_it_imports_nothing_heavy(self, tmp_path, monkeypatch):
        """torch alone costs seconds and 500 MB in every one of hundreds of workers."""
        told = tmp_path / "modules"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = make_job(tmp_path, [plain("tells-modules")])

        run(job, tmp_path)

        modules = {name.partition(".")[0] for name in told.read_text().splitlines()}
        heavy = {"torch", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "pydantic", "cv2"}
        assert "numpy" in modules
        assert modules & heavy == set()

    def test_single_queries_use_one_thread(self, tmp_path, monkeypatch):
        """Whatever the build and the batch were given: a user waits for one query at a time."""
        told = tmp_path / "told"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = replace(make_job(tmp_path, [plain("tells-threads")]), n_threads=2)

        run(job, tmp_path)

        lines = told.read_text().splitlines()
        assert lines[:3] == ["build 2", "configure 2", "batch"]
        threads = {"batch": set(), "single": set()}
        for line in lines[1:]:
            if line.startswith("configure"):
                now = line
            else:
                threads[line].add(now)
        assert threads == {"batch": {"configure 2"}, "single": {"configure 1"}}

    def test_threads_are_fixed_before_any_import(self, tmp_path, monkeypatch):
        """A library reads the number of threads once, while it loads."""
        from cbir_bench.run import process

        started = {}
        monkeypatch.setattr(
            process.subprocess, "Popen", lambda *_, **options: started.update(options)
        )
        job = make_job(tmp_path, [plain("exact")])
        read_fd, write_fd = os.pipe()
        os.close(read_fd)

        process._start(job, tmp_path, write_fd)

        assert started["env"]["OMP_NUM_THREADS"] == "1"
        assert started["env"]["OMP_WAIT_POLICY"] == "PASSIVE"


class TestFaults:
    @pytest.mark.parametrize(
        ("index", "status", "said"),
        [
            (("raises", {}), "failed", "RuntimeError: says no"),
            (("nonsense", {"kind": "duplicates"}), "failed", "retrieves an item twice"),
            (("nonsense", {"kind": "out of range"}), "failed", "holds the id 10000"),
            (("nonsense", {"kind": "below range"}), "failed", "holds the id -7"),
            (("nonsense", {"kind": "gap"}), "failed", "gap before its last result"),
            (
                ("nonsense", {"kind": "narrow"}),
                "failed",
                "has shape (12, 4) where 12 queries ask for 5",
            ),
            (
                ("nonsense", {"kind": "too few rows"}),
                "failed",
                "has shape (11, 5) where 12 queries ask for 5",
            ),
            (("cannot-save", {}), "failed", "No space left on device"),
            (("hnswlib", {"ef_search": 4}), "refused", "Set ef_search to 5 or more"),
            (("faiss", {"factory": "IVF100,Flat"}), "refused", "learns 100 lists"),
        ],
    )
    def test_what_can_be_told_is_told(self, tmp_path, index, status, said):
        """Each ends in a sentence in the trial's record, and the worker goes on."""
        use, options = index
        job = make_job(tmp_path, [plain(use, **options)])

        outcome, events = run(job, tmp_path)

        assert outcome.status == "ok"
        (failure,) = of_kind(events, "trial_failed")
        assert (failure["trial_id"], failure["status"]) == ("t0", status)
        assert said in failure["reason"]
        assert "\n" not in failure["reason"]

    def test_one_failed_trial_does_not_stop_the_others(self, tmp_path):
        """A sweep loses one point, not the build."""
        trials = [
            plain("raises-in-search", fails=True),
            plain("raises-in-search", fails=False),
            (setting(INDEXES, "raises-in-search"), setting(RERANKERS, "alpha-qe", n=50)),
        ]
        job = make_job(tmp_path, trials)

        _, events = run(job, tmp_path)

        assert [e["trial_id"] for e in of_kind(events, "trial")] == ["t1"]
        failures = {e["trial_id"]: e for e in of_kind(events, "trial_failed")}
        assert failures["t0"]["reason"] == "ValueError: this search fails"
        assert "this search fails" in failures["t0"]["log_tail"]
        assert failures["t2"]["status"] == "refused"

    def test_a_failed_build_fails_all_its_trials(self, tmp_path):
        """None may be missing from the report without a reason."""
        job = make_job(tmp_path, [plain("raises"), plain("raises")])

        _, events = run(job, tmp_path)

        assert [e["trial_id"] for e in of_kind(events, "trial_failed")] == ["t0", "t1"]

    def test_too_few_results_are_padded_not_refused(self, tmp_path):
        """Libraries may honestly find fewer than k."""
        job = make_job(tmp_path, [plain("short")])

        _, events = run(job, tmp_path)

        ids = answers(events)
        assert (ids[:, 2:] == -1).all()
        assert (ids[:, :2] >= 0).all()

    def test_rubbish_on_stdout_lands_in_the_log(self, tmp_path):
        """nmslib and ScaNN print what they like, even what looks like an event of ours."""
        job = make_job(tmp_path, [plain("prints-rubbish")])

        outcome, events = run(job, tmp_path)

        assert outcome.status == "ok"
        assert len(of_kind(events, "trial")) == 1
        assert b'{"event": "trial"' in outcome.log
        assert len(outcome.log_tail) <= 2000

    @pytest.mark.parametrize(
        ("index", "status", "exit_status"),
        [
            (("aborts", {}), "crashed", "SIGABRT"),
            (("exits", {"code": 0}), "crashed", "exit 0"),
            (("exits", {"code": 3}), "crashed", "exit 3"),
            (("kills-itself", {}), "crashed", "SIGKILL"),
            (("bad-alloc", {}), "out_of_memory", "SIGABRT"),
        ],
    )
    def test_a_death_is_an_outcome(self, tmp_path, index, status, exit_status):
        """The trials that were not told about get it as their record."""
        use, options = index
        job = make_job(tmp_path, [plain(use, **options)])

        outcome, events = run(job, tmp_path)

        assert (outcome.status, outcome.exit_status) == (status, exit_status)
        assert "while the index was built" in outcome.reason
        assert not of_kind(events, "trial_failed")

    @pytest.mark.parametrize("counts", [(3, 4), (None, None)])
    def test_the_kernels_killer_is_known_by_its_count(self, tmp_path, monkeypatch, counts):
        """A user's kill -9 is no reason to buy memory; where there is no count, memory is likelier."""
        told = iter(counts)
        monkeypatch.setattr("cbir_bench.run.process.n_killed_for_memory", lambda: next(told))
        job = make_job(tmp_path, [plain("kills-itself")])

        outcome, _ = run(job, tmp_path)

        assert outcome.status == "out_of_memory"

    @pytest.mark.parametrize("stage", ["quality", "latency"])
    def test_a_death_names_the_trial_that_was_busy(self, tmp_path, stage):
        """The others of its build get another worker."""
        job = make_job(
            tmp_path, [plain("dies-in-search", dies=""), plain("dies-in-search", dies=stage)]
        )

        outcome, _ = run(job, tmp_path)

        assert (outcome.status, outcome.exit_status) == ("crashed", "SIGSEGV")
        assert outcome.trial_id == "t1"

    def test_the_worker_dies_before_the_parent_where_memory_runs_out(self, tmp_path, monkeypatch):
        """The kernel's killer takes the process with the highest score."""
        told = tmp_path / "told"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = make_job(tmp_path, [plain("tells-its-score")])

        run(job, tmp_path)

        assert told.read_text() == "1000"

    def test_the_log_of_a_death_holds_the_last_words(self, tmp_path):
        """Without them nobody can tell why a library aborted."""
        job = make_job(tmp_path, [plain("aborts")])

        outcome, _ = run(job, tmp_path)

        assert "about to abort" in outcome.log_tail

    def test_a_library_that_cannot_be_loaded_fails_its_trials_with_its_own_words(self, tmp_path):
        """Nobody could tell a crash "while it started" from a missing shared object."""
        job = make_job(tmp_path, [plain("broken-library"), plain("exact")])

        outcome, events = run(job, tmp_path)

        (failure,) = of_kind(events, "trial_failed")
        assert outcome.status == "ok"
        assert failure["status"] == "failed"
        assert "libopenblas" in failure["reason"]
        assert len(of_kind(events, "trial")) == 1

    def test_a_full_disk_stops_the_run_and_is_no_failure_of_the_index(self, tmp_path):
        """Its record would say forever that the index cannot be measured, or that it takes 0 bytes."""
        job = make_job(tmp_path, [plain("fills-the-disk")])
        heard = []

        def stop_at_storage(event):
            heard.append(event["event"])
            if event["event"] == "storage":
                raise StorageError(event["reason"])

        with pytest.raises(StorageError, match="is full"):
            run_job(job, tmp_path / "job", stop_at_storage)

        assert "built" not in heard
        assert "trial_failed" not in heard

    def test_a_time_limit_of_months_is_no_problem(self, tmp_path):
        """Who wants no limit writes a large number; the kernel sleeps 24 days at most."""
        job = make_job(tmp_path, [plain("exact")], timeout_seconds=1e8)

        outcome = run_job(job, tmp_path / "job", lambda _: None)

        assert outcome.status == "ok"

    def test_a_memory_limit_below_any_need_is_named_as_the_reason(self, tmp_path):
        """The worker must live long enough to say it."""
        job = make_job(tmp_path, [plain("exact")], memory_limit_bytes=1)

        outcome, events = run(job, tmp_path)

        reasons = [e["reason"] for e in of_kind(events, "trial_failed")] or [outcome.reason]
        assert all("memory_limit_bytes" in reason for reason in reasons)

    def test_the_memory_limit_ends_the_trial_not_the_machine(self, tmp_path):
        """An overrun is a record instead of the kernel killing whatever it likes."""
        job = make_job(tmp_path, [plain("allocates")], memory_limit_bytes=2**30)

        outcome, events = run(job, tmp_path)

        assert outcome.status == "ok"
        (failure,) = of_kind(events, "trial_failed")
        assert failure["status"] == "out_of_memory"
        assert "memory_limit_bytes" in failure["reason"]

    def test_a_hanging_build_times_out(self, tmp_path):
        """A sweep over night must not stop at its first index."""
        job = make_job(tmp_path, [plain("hangs")])

        outcome, _ = run(job, tmp_path, timeout=2.0)

        assert outcome.status == "timeout"
        assert outcome.reason.startswith("The time limit of 2 s ran out while ")

    def test_a_worker_deaf_to_sigterm_is_killed(self, tmp_path, monkeypatch):
        """Some libraries install handlers of their own."""
        told = tmp_path / "pid"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        monkeypatch.setattr("cbir_bench.run.process._GRACE_SECONDS", 0.2)
        job = make_job(tmp_path, [plain("hangs-deaf")])

        outcome, _ = run(job, tmp_path, timeout=2.0)

        assert (outcome.status, outcome.exit_status) == ("timeout", "SIGKILL")
        wait_until(lambda: not alive(int(told.read_text())))

    def test_the_time_limit_starts_anew_with_every_trial(self, tmp_path):
        """A long sweep of quick trials is no hanging worker."""
        trials = [plain("hangs-in-search", seconds=0.7) for _ in range(3)]
        job = make_job(tmp_path, trials)

        outcome, events = run(job, tmp_path, timeout=3.0)

        assert outcome.status == "ok"
        assert len(of_kind(events, "trial")) == 3

    def test_a_child_that_the_library_started_ends_with_the_worker(self, tmp_path, monkeypatch):
        """It would hold the pipe of events open, and go on using the machine."""
        told = tmp_path / "pid"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = make_job(tmp_path, [plain("leaves-a-child")])

        outcome, _ = run(job, tmp_path)

        assert outcome.status == "ok"
        wait_until(lambda: not alive(int(told.read_text())))


class TestTheParentsEnd:
    def test_an_interrupt_ends_the_worker_and_is_passed_on(self, tmp_path):
        """Ctrl-C goes to the parent alone, since the worker leads its own session."""
        job = make_job(tmp_path, [plain("exact"), plain("exact")])
        pids = []

        def interrupt(event):
            pids.extend(child_pids(os.getpid()))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_job(job, tmp_path / "job", interrupt)

        assert pids
        assert not any(alive(pid) for pid in pids)

    def test_a_killed_parent_leaves_no_worker(self, tmp_path, monkeypatch):
        """Two runs would measure at once, each disturbing the other."""
        told = tmp_path / "pid"
        monkeypatch.setenv("CBIR_BENCH_TEST_FILE", str(told))
        job = make_job(tmp_path, [plain("hangs-deaf")])
        job.write(tmp_path / "given.json")
        script = f"""
            from pathlib import Path
            from cbir_bench.run.job import Job
            from cbir_bench.run.process import run_job
            run_job(Job.read(Path({str(tmp_path / "given.json")!r})), Path({str(tmp_path)!r}), print)
        """
        parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
        wait_until(lambda: told.exists() and told.read_text())
        worker = int(told.read_text())
        assert alive(worker)

        parent.send_signal(signal.SIGKILL)
        parent.wait()

        wait_until(lambda: not alive(worker))


def alive(pid):
    """Whether a process runs; one that is dead but not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def child_pids(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()]


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
