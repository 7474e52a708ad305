"""Memory, threads and the description of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cbir_bench.measure import memory
from cbir_bench.measure.environment import environment, versions
from cbir_bench.measure.threads import pin, thread_environment

MEBIBYTE = 2**20


def in_fresh_process(code):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_private_memory_grows_by_what_is_allocated():
    """It is the number that is shown for an index, so it is checked on a known size."""
    before = memory.private_bytes()

    block = np.ones(64 * MEBIBYTE, np.uint8)

    assert memory.private_bytes() - before == pytest.approx(block.nbytes, rel=0.05)


def test_mapped_files_are_not_private(tmp_path):
    """The input is mapped, and no part of the index."""
    np.save(tmp_path / "mapped.npy", np.ones(64 * MEBIBYTE, np.uint8))
    before = memory.private_bytes()

    mapped = np.load(tmp_path / "mapped.npy", mmap_mode="r")
    assert mapped[::1000].sum() > 0

    assert memory.private_bytes() - before < MEBIBYTE


def test_the_peak_is_remembered_after_memory_is_freed():
    """ScaNN needs five times its index while it builds."""
    peak = memory.PeakMemory()
    before = memory.resident_bytes()
    passing = np.ones(64 * MEBIBYTE, np.uint8)
    del passing

    assert peak.growth() == pytest.approx(64 * MEBIBYTE, rel=0.1)
    assert memory.resident_bytes() - before < 16 * MEBIBYTE


def test_an_earlier_peak_does_not_count():
    """What was needed before the build says nothing about the build."""
    passing = np.ones(64 * MEBIBYTE, np.uint8)
    del passing
    memory.give_back_freed()

    peak = memory.PeakMemory()

    assert peak.growth() < 16 * MEBIBYTE


def test_without_the_kernels_accounts_there_is_still_a_number(monkeypatch, tmp_path):
    """Other systems have no /proc; a missing smaps_rollup is common in containers."""
    monkeypatch.setattr(memory, "_PROC", tmp_path)

    assert memory.private_bytes() > 10 * MEBIBYTE
    assert memory.resident_bytes() > 10 * MEBIBYTE
    assert memory.PeakMemory().growth() >= 0


def test_resident_minus_shared_stands_in_for_private(monkeypatch, tmp_path):
    """Kernels before 4.14 have statm, but no smaps_rollup."""
    (tmp_path / "statm").write_text("9000 700 200 1 0 300 0")
    monkeypatch.setattr(memory, "_PROC", tmp_path)

    assert memory.private_bytes() == 500 * os.sysconf("SC_PAGE_SIZE")


def test_the_memory_limit_makes_allocations_fail():
    """An error that can be recorded, instead of a killed process."""
    actual = in_fresh_process("""
        import json, numpy as np
        from cbir_bench.measure.memory import limit_memory
        limit_memory(2**29)
        try:
            np.ones(2**30, np.uint8)
            print(json.dumps("allocated"))
        except MemoryError:
            print(json.dumps("refused"))
    """)

    assert actual == "refused"


def test_a_worker_is_kept_on_as_many_cores_as_threads():
    """A thread that wanders between cores leaves its caches behind."""
    actual = in_fresh_process("""
        import json, os
        from cbir_bench.measure.threads import pin
        allowed = sorted(os.sched_getaffinity(0))
        print(json.dumps([allowed, pin(1), sorted(os.sched_getaffinity(0)), pin(99)]))
    """)

    allowed, one, now, more = actual
    assert one == [now, allowed]
    assert now == allowed[-1:]
    assert more == [now, now]


def test_clients_may_use_all_cores_for_a_while():
    """Load on one core would be a queue; afterwards single queries stay where they were."""
    actual = in_fresh_process("""
        import json, os
        from cbir_bench.measure.threads import pin, running_on
        pinned = pin(1)
        with running_on(pinned.allowed):
            free = sorted(os.sched_getaffinity(0))
        print(json.dumps([pinned.allowed, free, pinned.cores, sorted(os.sched_getaffinity(0))]))
    """)

    allowed, free, cores, now = actual
    assert free == allowed
    assert now == cores


def test_another_process_tells_its_memory():
    """A build's peak is sampled from outside, so that no thread of ours runs inside."""
    before = memory.anonymous_bytes(os.getpid())

    block = np.ones(64 * MEBIBYTE, np.uint8)

    assert memory.anonymous_bytes(os.getpid()) - before == pytest.approx(block.nbytes, rel=0.05)
    assert memory.anonymous_bytes(2**22 + 1) is None


def test_files_that_are_mapped_are_found_by_their_folder(tmp_path):
    """annoy maps its index: its anonymous memory is nothing, and the file is what it takes."""
    (tmp_path / "index").mkdir()
    np.save(tmp_path / "index" / "a.npy", np.ones(8 * MEBIBYTE, np.uint8))
    np.save(tmp_path / "other.npy", np.ones(8 * MEBIBYTE, np.uint8))

    ours = np.load(tmp_path / "index" / "a.npy", mmap_mode="r")
    other = np.load(tmp_path / "other.npy", mmap_mode="r")
    assert ours.sum() == other.sum()

    assert memory.mapped_bytes(tmp_path / "index") == pytest.approx(8 * MEBIBYTE, rel=0.05)


def test_the_kernels_killings_are_counted(monkeypatch, tmp_path):
    """A worker killed by somebody else did not run out of memory."""
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 2\nmax 9\noom 1\noom_kill 3\n")
    monkeypatch.setattr(memory, "_KILLS", (tmp_path / "none", events))

    assert memory.n_killed_for_memory() == 3


def test_where_nothing_can_be_pinned_nothing_is(monkeypatch):
    """macOS has no such call."""
    monkeypatch.delattr(os, "sched_setaffinity")

    assert pin(1) == ((), ())


def test_the_thread_variables_hold_the_count_for_every_library():
    """Each of the libraries reads another one."""
    actual = thread_environment(3)

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert actual[name] == "3"
    assert actual["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_environment_is_json_and_names_the_libraries():
    """It becomes part of every record."""
    actual = json.loads(json.dumps(environment()))

    assert actual["n_cores"] >= 1
    assert actual["memory_bytes"] > 0
    assert actual["versions"]["numpy"] == np.__version__
    assert actual["python"].count(".") == 2


def test_versions_are_known_without_importing():
    """Importing all libraries to ask for their versions would take seconds and change memory."""
    actual = in_fresh_process("""
        import json, sys
        from cbir_bench.measure.environment import environment
        environment()
        print(json.dumps([m for m in ("faiss", "nmslib", "scann", "torch") if m in sys.modules]))
    """)

    assert actual == []


def test_a_package_that_is_not_installed_has_no_version():
    """It is left out rather than called None."""
    assert versions(["numpy", "surely-not-installed"]) == {"numpy": np.__version__}
