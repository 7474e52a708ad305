"""The machine as measuring sees it: environment, free memory and disk, and what the kernel tells."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cbir_bench.measure.environment import environment

_PROC: Final = Path("/proc/self")
_MEMORY: Final = Path("/proc/meminfo")
FEATURES: Final = {
    "clear_refs": "The peak of memory while building is then only known where it grows beyond all before.",
    "smaps_rollup": "The memory of an index is then resident minus shared memory, which is coarser.",
    "schedstat": "Time spent waiting for a core cannot be told from time at work.",
    "pidfd": "The end of a measuring process is then noticed some milliseconds later.",
    "sched_setaffinity": "Measuring processes cannot be kept on their cores.",
}
"""What measuring uses of the kernel, and what is lost without it."""


def machine(cache: Path, results: Path) -> dict[str, Any]:
    """Return the machine as a JSON object.

    Args:
        cache: where weights and embeddings are kept.
        results: where runs land.

    Returns:
        ``environment()`` with ``memory_available_bytes``; ``disk``, for "cache" and "results" the
        ``folder`` and its ``free_bytes``; ``features``, whether the kernel has each of ``FEATURES``.
    """
    return {
        **environment(),
        "memory_available_bytes": _available(),
        "disk": {
            name: {"folder": str(folder), "free_bytes": free_bytes(folder)}
            for name, folder in (("cache", cache), ("results", results))
        },
        "features": features(),
    }


def features() -> dict[str, bool]:
    """Return whether the kernel has what measuring uses; the high-water mark of memory is reset."""
    return {
        "clear_refs": _can_reset_peak(),
        "smaps_rollup": _can_read(_PROC / "smaps_rollup"),
        "schedstat": _can_read(_PROC / "schedstat"),
        "pidfd": _has_pidfd(),
        "sched_setaffinity": hasattr(os, "sched_setaffinity"),
    }


def free_bytes(folder: Path) -> int | None:
    """Return what is free on the disk of a folder, which need not be there yet."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    with suppress(OSError):
        return shutil.disk_usage(place).free
    return None


def _available() -> int | None:
    """Return the memory that can be had without swapping."""
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMORY.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None


def _can_reset_peak() -> bool:
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _can_read(path: Path) -> bool:
    try:
        return bool(path.read_text())
    except OSError:
        return False


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
