"""What a measurement ran on: only records of one environment are compared for time."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES: Final = ("numpy", "faiss-cpu", "hnswlib", "annoy", "nmslib", "scann")
"""The packages whose versions are recorded by default."""
_FLAGS: Final = (
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "neon", "asimd", "sve",
)  # fmt: skip
"""CPU features that similarity kernels are written for."""
_CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_NO_LIMIT: Final = 2**60
"""Kernels write a huge number where no limit is set."""


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Return the machine, its load and the versions of installed packages, without importing them.

    Args:
        packages: names as pip knows them; those not installed are left out.

    Returns:
        A JSON object; bytes and counts are whole numbers. What the system does not tell is None.
    """
    cpu = _cpu_info()
    return {
        "cpu_model": cpu.get("model name") or cpu.get("Model") or platform.processor() or None,
        "cpu_flags": [f for f in _FLAGS if f in cpu.get("flags", cpu.get("Features", "")).split()],
        "n_cores": os.cpu_count(),
        "n_allowed_cores": _n_allowed_cores(),
        "memory_bytes": _memory_bytes(),
        "memory_limit_bytes": memory_limit_bytes(),
        "load_average": load_average(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": versions(packages),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def load_average() -> list[float] | None:
    """Return the mean number of running processes over 1, 5 and 15 minutes."""
    with suppress(OSError, AttributeError):
        return [round(load, 2) for load in os.getloadavg()]
    return None


def memory_limit_bytes() -> int | None:
    """Return what the control group (a container) allows; None without a limit."""
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            limit = int(path.read_text())
            return limit if limit < _NO_LIMIT else None
    return None


def _cpu_info() -> dict[str, str]:
    """Return the description of the first core."""
    info: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            info.setdefault(key.strip(), value.strip())
    return info


def _n_allowed_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_bytes() -> int | None:
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
