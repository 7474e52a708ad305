"""What a measurement ran on: only records of one environment are compared for time."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cbir_bench import __version__
from cbir_bench.measure.cgroup import cgroup_limits
from cbir_bench.measure.cpu import describe_cpu
from cbir_bench.measure.load import load
from cbir_bench.measure.provenance import git_commit, provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES: Final = (
    "numpy", "faiss-cpu", "hnswlib", "annoy", "nmslib", "scann",
    "scalable-vs", "usearch", "voyager", "pynndescent", "ngt",
)  # fmt: skip
"""The packages whose versions are recorded by default."""


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Return the machine, its load and the versions of installed packages, without importing them.

    The first call reads files for some 10 ms; each looks at the load for 30 ms.

    Args:
        packages: names as pip knows them; those not installed are left out.

    Returns:
        A JSON object; bytes and counts are whole numbers. What the system does not tell is None.
        ``builds`` says of each package in words whether it was compiled here or elsewhere.
    """
    names = tuple(packages)
    return {
        **describe_cpu(),
        "memory_bytes": memory_bytes(),
        **cgroup_limits(),
        **load(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cbir_bench": __version__,
        "git_commit": git_commit(),
        "versions": versions(names),
        "builds": builds(names),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    known = {package: provenance(package) for package in packages}
    return {package: one.version for package, one in known.items() if one is not None}


def builds(packages: Iterable[str]) -> dict[str, str]:
    """Return of each package that is installed whether it was compiled here, elsewhere or not at all."""
    known = {package: provenance(package) for package in packages}
    return {package: str(one) for package, one in known.items() if one is not None}


def memory_bytes() -> int | None:
    """Return the memory of the machine."""
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
