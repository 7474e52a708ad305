"""Progress is a live line on a terminal and a few plain lines in CI."""

from __future__ import annotations

import sys

import pytest

from cbir_bench.run import progress
from cbir_bench.run.progress import LiveProgress, PlainProgress, make_progress, time_left


@pytest.mark.parametrize(
    ("done", "elapsed", "expected"),
    [(0, 5, "?"), (1, 10, "1 min 30 s"), (5, 10, "10 s"), (10, 10, "0 s"), (12, 10, "0 s")],
)
def test_the_time_left_follows_the_pace_so_far(done, elapsed, expected):
    """And nothing is promised before the first step."""
    assert time_left(done, 10, elapsed) == expected


def test_plain_lines_are_rare(capsys, monkeypatch):
    """A CI log of ten thousand lines is no log."""
    now = iter([0.0, 1.0, 2.0, 12.0, 13.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    plain = PlainProgress()

    plain.stage("measure", 10)
    for done in range(1, 5):
        plain.step(done, "somewhere")

    lines = capsys.readouterr().err.splitlines()
    assert lines == ["measure: 10", "measure: 3/10, 28 s left, somewhere"]


def test_live_progress_shows_stage_trial_and_count(capsys):
    """What is being done, how far it is, and what was said stays above it."""
    with LiveProgress() as live:
        live.stage("train [/b]", 1)
        live.stage("measure", 4)
        live.step(3, "photos > hnswlib [fast]")
        live.say("a note [with brackets]")

    actual = capsys.readouterr().err
    assert "train [/b]" in actual
    assert "measure" in actual
    assert "3/4" in actual
    assert "a note [with brackets]" in actual


def test_a_closed_terminal_does_not_end_a_run(monkeypatch):
    """Hours of measuring are worth more than a line that nobody reads."""

    class Closed:
        def write(self, text):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Closed())

    PlainProgress().stage("measure", 10)


def test_a_pipe_gets_plain_lines(monkeypatch):
    """Bars drawn into a file are rubbish."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)

    assert isinstance(make_progress(), PlainProgress)
