"""Runs tests of this suite against a package with one line of one file changed."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

import cbir_bench

PACKAGE = Path(cbir_bench.__file__).parent
TESTS = Path(__file__).parents[1]
SECONDS = 120
"""A mistake that never ends is noticed, too."""
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Mistake:
    """A change that a person could make, and who has to notice.

    Attributes:
        file: of the package.
        before, after: the text that stands in it once, and what stands there instead.
        tests: a file of tests.
        chosen: which of its tests, as for ``pytest -k``; all if empty.
    """

    file: str
    before: str
    after: str
    tests: str
    chosen: str = ""


def outcome(mistake: Mistake | None, tests: str, chosen: str) -> int:
    """Return the exit code of some tests in a process of their own, with the mistake or without.

    The process is a copy of this one, so that nothing heavy is loaded again; the package and the tests
    are. Compiled loops run as plain Python there, so that no mistake gets into a cache.
    """
    child = os.fork()
    if child == 0:
        os._exit(_run(mistake, tests, chosen))
    return _wait(child)


def _wait(child: int) -> int:
    def stop(*_: object) -> None:
        os.kill(child, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return FAILED if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def _run(mistake: Mistake | None, tests: str, chosen: str) -> int:
    try:
        log = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(log, stream)
        sys.stdin = sys.stdout = sys.stderr = os.fdopen(log, "r+", encoding="utf-8")
        _forget()
        if mistake is not None:
            _plant(mistake)
        import numba
        import pytest

        numba.config.DISABLE_JIT = 1
        os.environ.pop("PYTEST_XDIST_WORKER", None)
        os.environ.pop("PYTEST_ADDOPTS", None)
        plugins = ["no:cacheprovider", "no:xdist", "no:benchmark"]
        options = [argument for plugin in plugins for argument in ("-p", plugin)]
        return int(pytest.main([str(TESTS / tests), "-x", "-q", "-k", chosen, "-s", *options]))
    except BaseException:  # noqa: BLE001  nothing may get back into the tests of the parent
        return 99


def _forget() -> None:
    """Forget what has been imported of the package and of the tests' helpers."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in {"cbir_bench", "unit", "oracles", "e2e", "conftest"}:
            del sys.modules[name]


def _plant(mistake: Mistake) -> None:
    """Have the file compiled from the changed text whenever it is imported."""
    path = PACKAGE / mistake.file
    source = path.read_text(encoding="utf-8").replace(mistake.before, mistake.after)
    usual = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> object:
        if Path(self.path) == path:
            return compile(source, str(path), "exec", dont_inherit=True)
        return usual(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
