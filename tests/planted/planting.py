"""Plants a mistake in the package, and tells whether the tests notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cbir_bench

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(cbir_bench.__file__).parent
TESTS = Path(__file__).parents[1]
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Mistake:
    """A change of the package that makes a result wrong.

    Attributes:
        breaks: the promise that is broken then, in words.
        file: of the package.
        before: text that stands in it exactly once.
        after: what stands there instead.
        tests: the file of tests that has to notice.
        chosen: which of them, as for ``pytest -k``.
    """

    breaks: str
    file: str
    before: str
    after: str
    tests: str
    chosen: str

    @property
    def change(self) -> dict[str, str]:
        """What has to be planted where."""
        module = ".".join(("cbir_bench", *Path(self.file).with_suffix("").parts))
        return {"module": module, "before": self.before, "after": self.after}


class Outcome(NamedTuple):
    """The exit code of some tests, and what they printed."""

    code: int
    text: str


class Runner:
    """Runs tests in copies of a process without threads, in which compiled loops are plain Python.

    So no mistake gets into a cache of compiled code, and a copy has nothing to wait for.
    """

    def __init__(self) -> None:
        single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        alone = {
            "NUMBA_DISABLE_JIT": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONWARNINGS": "",
        }
        usual = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=usual | single | alone,
            cwd=TESTS.parent,
        )

    def outcome(self, change: dict[str, str] | None, tests: str, chosen: str) -> Outcome:
        """Return what some tests say of the package with a change, or without."""
        request = {"change": change, "tests": str(TESTS / tests), "chosen": chosen}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args} has ended. Run it by hand to see why.")
        return Outcome(*json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def check_noticed(mistake: Mistake, runner: Runner) -> None:
    """The tests that have to notice the mistake fail."""
    text = (PACKAGE / mistake.file).read_text(encoding="utf-8")
    there = text.count(mistake.before)
    assert there == 1, f"{mistake.file} has the text {there} times: update the list"

    actual = runner.outcome(mistake.change, mistake.tests, mistake.chosen)

    assert actual.code == FAILED, f"exit code {actual.code}: {actual.text}"


def check_passes(mistakes: Sequence[Mistake], runner: Runner) -> None:
    """All tests that the mistakes are held against pass without any."""
    for tests in dict.fromkeys(one.tests for one in mistakes):
        chosen = {one.chosen: None for one in mistakes if one.tests == tests}

        actual = runner.outcome(None, tests, " or ".join(f"({one})" for one in chosen))

        assert actual.code == PASSED, f"exit code {actual.code}: {actual.text}"


def promise(mistake: Mistake) -> str:
    """Return what a report calls a mistake: the promise that it breaks."""
    return mistake.breaks
