"""The memory of this process, in bytes, from Linux's own accounts."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self")
_RESET_PEAK: Final = "5"
_FIRST_TO_DIE: Final = "1000"
_KILLS: Final = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
    Path("/proc/vmstat"),
)


def private_bytes() -> int:
    """Return the private anonymous memory: what was allocated, not what is mapped from files.

    Freed memory that the allocator still holds is given back first. Where the kernel does not say
    (smaps_rollup is missing), resident minus shared memory; elsewhere the peak so far.
    """
    give_back_freed()
    with suppress(OSError, KeyError):
        return _kilobytes(_PROC / "smaps_rollup", "Anonymous")
    with suppress(OSError):
        _, resident, shared, *_ = (_PROC / "statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return _peak_of_lifetime()


def resident_bytes() -> int:
    """Return the resident memory, mapped files included; elsewhere than on Linux the peak so far."""
    with suppress(OSError, KeyError):
        return _kilobytes(_PROC / "status", "VmRSS")
    return _peak_of_lifetime()


def mapped_bytes(folder: Path) -> int:
    """Return how much of the files in a folder this process has mapped and read (Linux)."""
    prefix, total, counting = f"{folder.resolve()}/", 0, False
    with suppress(OSError):
        for line in (_PROC / "smaps").read_text(errors="replace").splitlines():
            first = line.partition(" ")[0]
            if not first.endswith(":"):
                counting = prefix in line
            elif counting and first == "Rss:":
                total += 1024 * int(line.split()[1])
    return total


class PeakMemory:
    """The peak of resident memory since the object was made, above what was resident then."""

    def __init__(self) -> None:
        give_back_freed()
        self._was_reset = _reset_peak()
        self._before = resident_bytes()
        self._peak_before = _peak()

    def growth(self) -> int:
        """Return the bytes; at least the present growth, which is all that is known if the kernel
        does not let its high-water mark be reset and that mark did not move.
        """  # noqa: D205
        peak = _peak()
        known = peak if self._was_reset or peak > self._peak_before else resident_bytes()
        return max(0, known - self._before)


def give_back_freed() -> None:
    """Collect garbage, and let the C library give freed pages back to the kernel, if it can."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def die_first() -> None:
    """Let the kernel end this process before any other where the machine runs out of memory (Linux)."""
    with suppress(OSError):
        (_PROC / "oom_score_adj").write_text(_FIRST_TO_DIE)


def n_killed_for_memory() -> int | None:
    """Return how many processes of this control group the kernel has ended for want of memory."""
    for path in _KILLS:
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return None


def anonymous_bytes(pid: int) -> int | None:
    """Return the memory of another process that no file stands behind; None if it is not told."""
    with suppress(OSError, ValueError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return None


def limit_memory(n_bytes: int) -> None:
    """Let allocations of this process fail beyond ``n_bytes``; mapped files do not count."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _reset_peak() -> bool:
    try:
        (_PROC / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak() -> int:
    with suppress(OSError, KeyError):
        return _kilobytes(_PROC / "status", "VmHWM")
    return _peak_of_lifetime()


def _peak_of_lifetime() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _kilobytes(path: Path, name: str) -> int:
    """Return the bytes of a line such as ``VmRSS:   1234 kB``."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    raise KeyError(name)
