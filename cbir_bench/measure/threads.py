"""How many threads a library starts, and on which cores they run."""

from __future__ import annotations

import os
from typing import Final

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


def pin(n_threads: int) -> tuple[int, ...]:
    """Keep this process on its last ``n_threads`` cores, away from core 0, and return them.

    Returns all allowed cores, and pins nothing, if there are no more of them than threads; nothing
    at all where the system cannot pin (macOS).
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    cores = sorted(os.sched_getaffinity(0))
    if n_threads < len(cores):
        cores = cores[-n_threads:]
        os.sched_setaffinity(0, cores)
    return tuple(cores)
