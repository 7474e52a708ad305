"""The whole path through the command line: from photos to a report, interrupted and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e.tiny import N_TRIALS, cbir_bench, command, environment


def records(place: Path) -> dict[str, dict]:
    """Return every committed record by id."""
    folder = place / "results" / "tiny" / "records"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def quality(place: Path) -> dict[str, dict]:
    """Return what must be the same on every run: the metrics of every trial."""
    return {trial_id: record["metrics"] for trial_id, record in records(place).items()}


def test_photos_become_a_report(place):
    """The main job: one command, every trial measured, a report that exists and names its parts."""
    actual = cbir_bench(place, "run", "tiny.toml")

    assert actual.returncode == 0, actual.stderr
    assert f"{N_TRIALS} trials measured, 0 kept" in actual.stdout
    assert {r["status"] for r in records(place).values()} == {"ok"}
    text = (place / "results" / "tiny" / "report" / "report.md").read_text()
    assert all(
        name in text for name in ("hnswlib", "SQ8", "colour_histogram", "full-base", "query-set")
    )
    assert list((place / "results" / "tiny" / "report").rglob("*.png"))


def test_a_second_run_repeats_nothing(place):
    """A complete trial is never measured again."""
    cbir_bench(place, "run", "tiny.toml")
    before = {p: p.stat().st_mtime_ns for p in (place / "results/tiny/records").iterdir()}

    actual = cbir_bench(place, "run", "tiny.toml")

    after = {p: p.stat().st_mtime_ns for p in (place / "results/tiny/records").iterdir()}
    assert f"0 trials measured, {N_TRIALS} kept" in actual.stdout
    assert before == after


def test_quality_is_identical_on_every_run(place, tmp_path_factory):
    """Quality is a property of the data and the settings, not of the day."""
    other = tmp_path_factory.mktemp("other")
    for name in ("photos", "tiny.toml"):
        (other / name).symlink_to(place / name)
    cbir_bench(place, "run", "tiny.toml", "--no-report")

    cbir_bench(other, "run", "tiny.toml", "--no-report")

    assert quality(place) == quality(other)
    assert len(quality(place)) == N_TRIALS


def test_a_run_killed_anywhere_goes_on_where_it_stopped(place):
    """kill -9 loses no complete trial, leaves no worker behind, and the rest is measured."""
    running = start(place)
    wait_until(lambda: len(records(place)) >= 5 or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    kept = {p: p.stat().st_mtime_ns for p in (place / "results/tiny/records").glob("*.json")}
    wait_until(lambda: not workers_of(place))

    actual = cbir_bench(place, "run", "tiny.toml")

    assert 5 <= len(kept) < N_TRIALS
    assert f"{N_TRIALS - len(kept)} trials measured, {len(kept)} kept" in actual.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(records(place)) == N_TRIALS


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_the_same_command_goes_on(place, sign, code):
    """Ctrl-C, or a service manager: what is measured is kept, nothing else is left behind."""
    running = start(place)
    wait_until(lambda: len(records(place)) >= 3 or running.poll() is not None)
    running.send_signal(sign)
    stderr = running.communicate(timeout=30)[1]
    left = (place / "results/tiny/scratch").exists()
    wait_until(lambda: not workers_of(place))

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert running.returncode == code
    assert ("the same command goes on" in stderr) == (sign == signal.SIGINT)
    assert not left
    assert "Traceback" not in stderr
    assert actual.returncode == 0
    assert len(records(place)) == N_TRIALS


def test_a_folder_that_cannot_be_written_stops_the_run_and_fails_no_trial(place):
    """Once there is room the same command measures everything, without --retry-failed."""
    cbir_bench(place, "run", "tiny.toml", "--no-report", "--out", "before")
    limited = ["prlimit", "--fsize=8000", *command("run", "tiny.toml", "--no-report")]

    stopped = subprocess.run(
        limited, cwd=place, env=environment(place), capture_output=True, text=True, check=False
    )
    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert stopped.returncode == 2
    assert "cannot be written" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert f"{N_TRIALS} trials measured, 0 kept" in actual.stdout


def test_a_run_without_any_result_says_so_by_its_exit_code(place):
    """A failed trial is a result of a sweep; a sweep of nothing but failures is none."""
    text = (place / "tiny.toml").read_text()
    (place / "tiny.toml").write_text(f"{text}\ntimeout_seconds = 0.001\n")

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 1
    assert f"{N_TRIALS} trials have no result" in actual.stdout
    assert "--retry-failed" in actual.stdout
    assert {r["status"] for r in records(place).values()} == {"timeout"}


def test_two_runs_in_one_folder_do_not_mix(place):
    """The second is refused while the first works, and the first is not disturbed."""
    running = start(place)
    wait_until(lambda: len(records(place)) >= 1 or running.poll() is not None)

    actual = cbir_bench(place, "run", "tiny.toml")

    assert actual.returncode == 2
    assert "Another process is running" in actual.stderr
    running.communicate(timeout=120)
    assert running.returncode == 0


def test_the_golden_quality_of_the_tiny_suite(place):
    """A change of any number here is a change of meaning and needs a reason in the changelog."""
    golden = json.loads(Path(__file__).with_name("golden_tiny.json").read_text())

    cbir_bench(place, "run", "tiny.toml", "--no-report")

    actual = {
        " | ".join(r["labels"][n] for n in ("model", "index", "reranker", "protocol")): {
            name: value["mean"] for name, value in r["metrics"].items()
        }
        for r in records(place).values()
    }
    assert actual.keys() == golden.keys()
    for trial, metrics in golden.items():
        assert actual[trial] == pytest.approx(metrics, abs=1e-9), trial


def start(place: Path) -> subprocess.Popen[str]:
    """Start a run without waiting for it."""
    return subprocess.Popen(
        command("run", "tiny.toml", "--no-report"),
        cwd=place,
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, seconds: float = 60) -> None:
    """Return when the condition holds; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def workers_of(place: Path) -> list[int]:
    """Return the worker processes that still measure for a run below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "cbir_bench.run.worker" in line and str(place) in line:
            found.append(int(process.name))
    return found
