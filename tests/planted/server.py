"""A process that holds the libraries which tests import, and runs tests in copies of itself.

It is started by ``planted.planting``. A request is a line of JSON, and so is the answer. A copy starts within
a hundredth of a second where a new process would import for seconds; nothing of the package is loaded before.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
from importlib.machinery import SourceFileLoader

HELD = (
    "_pytest.main",
    "hypothesis.strategies",
    "numba",
    "numpy.testing",
    "pyarrow.csv",
    "pytest",
    "scipy.sparse.csgraph",
    "scipy.stats",
    "torch",
)
SECONDS = 300
NEVER_IMPORTED, CRASHED = 97, 98


def serve() -> None:
    """Answer requests until there are no more."""
    for name in HELD:
        importlib.import_module(name)
    _look_for_failures_only()
    gc.freeze()  # what is here already, no copy has to look through
    for line in sys.stdin:
        with tempfile.TemporaryFile() as log:
            child = os.fork()
            if child == 0:
                _run(json.loads(line), log.fileno())
            status = os.waitpid(child, 0)[1]
            log.seek(0)
            text = log.read().decode("utf-8", "replace")
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), text]) + "\n")
        sys.stdout.flush()


def _look_for_failures_only() -> None:
    """Have hypothesis draw the same examples every time, and waste no time on making them simple."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "planted",
        database=None,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("planted")


def _run(request: dict[str, str], log: int) -> None:
    """Run tests in this copy, and end it."""
    signal.alarm(SECONDS)
    for stream in (1, 2):
        os.dup2(log, stream)
    code = CRASHED
    try:
        planted = _plant(**request["change"]) if request["change"] else None
        code = _pytest(request["tests"], request["chosen"])
        if planted == []:
            code = NEVER_IMPORTED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _plant(module: str, before: str, after: str) -> list[str]:
    """Change the text of a module whenever it is imported, and return where that has happened."""
    usual, planted = SourceFileLoader.get_code, []

    def get_code(self: SourceFileLoader, fullname: str) -> object:
        if fullname != module:
            return usual(self, fullname)
        planted.append(fullname)
        text = self.get_data(self.path).decode("utf-8").replace(before, after)
        return compile(text, self.path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    return planted


def _pytest(tests: str, chosen: str) -> int:
    import pytest

    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-k", chosen]
    # A test has to notice the result: a warning on the way to it does not count.
    return int(pytest.main([tests, *options, "-W", "ignore::RuntimeWarning"]))


if __name__ == "__main__":
    serve()
