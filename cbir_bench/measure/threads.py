"""How many threads a library starts, and on which cores they run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def thread_environment(n_threads: int) -> dict[str, str]:
    """Return the variables that fix the number of threads; libraries read them while they load.

    Waiting threads sleep (``PASSIVE``), since spinning ones would steal the core from the next call.
    """
    counts = dict.fromkeys(_COUNTS, str(n_threads))
    return {**counts, "OMP_WAIT_POLICY": "PASSIVE", "OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}


class Pinned(NamedTuple):
    """Where this process may run.

    Attributes:
        cores: those it is kept on; empty where the system cannot pin (macOS).
        allowed: those it was allowed before.
    """

    cores: tuple[int, ...]
    allowed: tuple[int, ...]


def pin(n_threads: int) -> Pinned:
    """Keep this process on its last ``n_threads`` cores, away from core 0.

    Pins nothing if there are no more allowed cores than threads, or where the system cannot pin.
    """
    if not hasattr(os, "sched_setaffinity"):
        return Pinned((), ())
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    cores = allowed
    if n_threads < len(allowed):
        cores = allowed[-n_threads:]
        os.sched_setaffinity(0, cores)
    return Pinned(cores, allowed)


@contextmanager
def running_on(cores: tuple[int, ...]) -> Iterator[None]:
    """Let this thread, and the threads and processes that it starts, run on some cores for a while."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
