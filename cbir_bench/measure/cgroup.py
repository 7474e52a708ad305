"""What the control groups of this process (a container, a service) let it use: versions 1 and 2.

A limit holds for a group and for all groups within it, so that the tightest one on the way up to the
root counts.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT: Final = Path("/sys/fs/cgroup")
_MINE: Final = Path("/proc/self/cgroup")
_NO_LIMIT: Final = 2**60
"""Kernels write a huge number where no limit is set."""
_UNIFIED: Final = ""
"""Where version 2 is listed in place of the name of a controller."""


def cgroup_limits() -> dict[str, Any]:
    """Return the limits as a JSON object; None where there is none.

    Returns:
        ``memory_limit_bytes``; ``cpu_limit_cores``, the CPU seconds allowed in a second; ``cpuset``, the
        cores as Linux writes them ("0-3,8").
    """
    return {
        "memory_limit_bytes": memory_limit_bytes(),
        "cpu_limit_cores": cpu_limit_cores(),
        "cpuset": _cpuset(),
    }


def memory_limit_bytes() -> int | None:
    """Return the memory that all processes of the group may use together; None without a limit."""
    found = _limits("memory", _memory)
    return int(min(found)) if found else None


def cpu_limit_cores() -> float | None:
    """Return how many CPU seconds the group may use in a second; None without a limit."""
    found = _limits("cpu", _cores)
    return min(found) if found else None


def _cpuset() -> str | None:
    for folder in _folders("cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            with suppress(OSError):
                return (folder / name).read_text().strip() or None
    return None


def _limits(controller: str, read: Callable[[Path], float | None]) -> list[float]:
    """Return every limit that is set in this process's group or above it."""
    found = []
    for folder in _folders(controller):
        with suppress(OSError, ValueError):
            limit = read(folder)
            if limit is not None and 0 < limit < _NO_LIMIT:
                found.append(limit)
    return found


def _memory(folder: Path) -> float | None:
    try:
        return _number((folder / "memory.max").read_text())
    except OSError:
        return _number((folder / "memory.limit_in_bytes").read_text())


def _cores(folder: Path) -> float | None:
    try:
        quota_text, period_text = (folder / "cpu.max").read_text().split()
    except OSError:
        quota_text = (folder / "cpu.cfs_quota_us").read_text()
        period_text = (folder / "cpu.cfs_period_us").read_text()
    quota = _number(quota_text)
    return None if quota is None else quota / int(period_text)


def _number(text: str) -> float | None:
    return None if text.strip() == "max" else int(text)


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of those around it, the nearest first.

    In a container the group may be mounted as if it were the root, while its name is still the outer
    one; then only the root is there.
    """
    mine = _groups()
    for root, name in ((_ROOT / controller, controller), (_ROOT, _UNIFIED)):
        if name in mine and root.is_dir():
            group = root / mine[name].lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _groups() -> dict[str, str]:
    """Return the path of this process's group by controller."""
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in _MINE.read_text().splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            found |= dict.fromkeys(controllers.split(","), path)
    return found
