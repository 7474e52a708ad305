"""What other programs take from a measurement is told from what it takes itself."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from cbir_bench.measure import disturbance
from cbir_bench.measure.disturbance import Watch


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def spin_on(core, seconds):
    os.sched_setaffinity(0, {core})
    spin(seconds)


@pytest.fixture
def one_core():
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    yield core
    os.sched_setaffinity(0, before)


@pytest.mark.skipif(not disturbance._THREAD.exists(), reason="this kernel does not tell")
def test_a_rival_on_the_same_core_is_seen(one_core):
    """Two programs on one core get half of it each."""
    rival = multiprocessing.get_context("fork").Process(target=spin_on, args=(one_core, 5.0))
    rival.start()
    time.sleep(0.1)

    watch = Watch()
    spin(0.3)
    lost = watch.disturbance()
    rival.kill()
    rival.join()

    assert lost.waited > 0.25
    assert lost.share == max(lost.waited, lost.steal)


@pytest.mark.skipif(not disturbance._THREAD.exists(), reason="this kernel does not tell")
def test_sleeping_is_no_loss():
    """A thread that waits for nothing but itself was not disturbed."""
    watch = Watch()
    time.sleep(0.2)
    lost = watch.disturbance()

    assert lost.waited < 0.1
    assert lost.seconds >= 0.2


def readings(monkeypatch, tmp_path, stats):
    """Let /proc/stat say one thing after the other, while this process computes nothing."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(disturbance, "_CORES", stat)
    monkeypatch.setattr(disturbance, "process_time", lambda: 1.0)
    stat.write_text(stats[0])
    watch = Watch()
    stat.write_text(stats[1])
    return watch.disturbance()


def test_foreign_work_and_steal_are_shares_of_all_cores(monkeypatch, tmp_path):
    """The fields of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice."""
    lost = readings(
        monkeypatch,
        tmp_path,
        ["cpu  100 0 0 1000 0 0 0 0 0 0\ncpu0", "cpu  140 0 10 1030 10 0 0 10 40 0\ncpu0"],
    )

    assert lost.foreign == pytest.approx(0.5)
    assert lost.steal == pytest.approx(0.1)


def test_where_the_kernel_does_not_tell_nothing_is_made_up(monkeypatch, tmp_path):
    """Other systems have no /proc; a share of 0 would be a promise of quiet."""
    monkeypatch.setattr(disturbance, "_CORES", tmp_path / "none")
    monkeypatch.setattr(disturbance, "_THREAD", tmp_path / "none")

    lost = Watch().disturbance()

    assert (lost.waited, lost.foreign, lost.steal) == (None, None, None)
    assert lost.share == 0.0
