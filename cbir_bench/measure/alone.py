"""One measurement at a time on a machine: two would measure each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK_VARIABLE: Final = "CBIR_BENCH_LOCK"
"""Names another lock file, for runs that have cores of their own; empty for no lock at all."""


@contextmanager
def alone_on_this_machine(say: Callable[[str], None]) -> Iterator[None]:
    """Hold the machine's lock for measuring; wait for whoever has it.

    The kernel lets go of it when the process ends in any way. Where no lock file can be opened there
    is no lock, and measuring goes on.

    Args:
        say: told once, before waiting.
    """
    lock = _open(lock_path())
    if lock is None:
        yield
        return
    try:
        _take(lock, say)
        yield
    finally:
        os.close(lock)


def lock_path() -> Path | None:
    """Return the file that all measurements of this machine lock, whoever runs them."""
    name = os.environ.get(LOCK_VARIABLE)
    if name is not None:
        return Path(name) if name else None
    return Path(tempfile.gettempdir()) / "cbir_bench-measuring.lock"


def _open(path: Path | None) -> int | None:
    if path is None:
        return None
    with suppress(OSError):
        # Others may only be allowed to read a file that we made, which is enough for a lock.
        with suppress(OSError):
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _take(lock: int, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another measurement is running on this machine; waiting for it to end.")
        fcntl.flock(lock, fcntl.LOCK_EX)
