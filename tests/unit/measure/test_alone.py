"""Two measurements of one machine never overlap."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from cbir_bench.measure.alone import LOCK_VARIABLE, alone_on_this_machine, lock_path

HOLDER = """
import sys, time
from cbir_bench.measure.alone import alone_on_this_machine
with alone_on_this_machine(print):
    print("holding", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lock(monkeypatch, tmp_path):
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))
    return tmp_path / "lock"


def hold():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "holding\n"
    return holder


def test_the_second_waits_for_the_first_and_says_so(lock):
    """A run that stands still without a word looks like one that hangs."""
    said = []
    holder = hold()

    def killed(text):
        said.append(text)
        holder.send_signal(signal.SIGKILL)

    with alone_on_this_machine(killed):
        holder.wait()
        holder.stdout.close()

    assert len(said) == 1
    assert "waiting" in said[0]


def test_a_free_machine_is_taken_without_a_word(lock):
    """Nearly always there is nobody else."""
    said = []

    for _ in range(2):
        with alone_on_this_machine(said.append):
            pass

    assert said == []


def test_the_lock_is_let_go_after_an_error(lock):
    """The next build of a failed run must not wait for itself."""
    with pytest.raises(ZeroDivisionError), alone_on_this_machine(print):
        1 / 0  # noqa: B018

    start = time.monotonic()
    with alone_on_this_machine(print):
        pass
    assert time.monotonic() - start < 5


def test_the_lock_can_be_elsewhere_or_nowhere(monkeypatch, tmp_path):
    """Runs with cores of their own need not wait for each other; a missing folder is no reason to stop."""
    for name, expected in [("", None), (str(tmp_path / "a"), tmp_path / "a")]:
        monkeypatch.setenv(LOCK_VARIABLE, name)
        assert lock_path() == expected

    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "missing" / "lock"))
    with alone_on_this_machine(print):
        pass
