"""The processor: what it is, what it can do, how fast it may run, and whether it is a virtual one."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

FLAGS: Final = (
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "neon", "asimd", "sve",
)  # fmt: skip
"""CPU features that similarity kernels are written for."""
_CPU_INFO: Final = Path("/proc/cpuinfo")
_CPUS: Final = Path("/sys/devices/system/cpu")
_NODES: Final = Path("/sys/devices/system/node")


def describe_cpu() -> dict[str, Any]:
    """Return the processor as a JSON object; what the system does not tell is None.

    Returns:
        ``cpu_model``, ``cpu_flags`` (those of ``FLAGS`` that it has), ``hypervisor`` (whether it is a
        virtual one), ``n_cores``, ``n_allowed_cores`` of this process, ``n_numa_nodes``, ``governor``
        (who chooses the frequency) and ``frequency_mhz`` (``min``, ``max`` and ``current`` of a core
        that this process may use).
    """
    info = _first_core()
    flags = _flags(info)
    return {
        "cpu_model": info.get("model name") or info.get("Model") or platform.processor() or None,
        "cpu_flags": [flag for flag in FLAGS if flag in flags],
        "hypervisor": "hypervisor" in flags if flags else None,
        "n_cores": os.cpu_count(),
        "n_allowed_cores": n_allowed_cores(),
        "n_numa_nodes": len(list(_NODES.glob("node[0-9]*"))) or None,
        "governor": _text(_of_frequency("scaling_governor")),
        "frequency_mhz": {
            "min": _megahertz("cpuinfo_min_freq"),
            "max": _megahertz("cpuinfo_max_freq"),
            "current": _megahertz("scaling_cur_freq") or _nominal(info),
        },
    }


def cpu_flags() -> frozenset[str]:
    """Return every feature of the first core, as Linux calls them; none where nobody tells."""
    return frozenset(_flags(_first_core()))


def n_allowed_cores() -> int | None:
    """Return on how many cores this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _flags(info: dict[str, str]) -> list[str]:
    return info.get("flags", info.get("Features", "")).split()


@cache
def _first_core() -> dict[str, str]:
    """Return what Linux says of the first core; reading on takes long where there are hundreds."""
    info: dict[str, str] = {}
    with suppress(OSError), _CPU_INFO.open() as file:
        for line in file:
            key, _, value = line.partition(":")
            if not key.strip() and info:
                break
            info[key.strip()] = value.strip()
    return info


def _of_frequency(name: str) -> Path:
    """Return a file about the frequency of the first core that this process may use."""
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return _CPUS / f"cpu{core}" / "cpufreq" / name


def _megahertz(name: str) -> float | None:
    text = _text(_of_frequency(name))
    return int(text) / 1000 if text and text.isdecimal() else None


def _nominal(info: dict[str, str]) -> float | None:
    """Return the frequency that a virtual processor states, where none is controlled."""
    with suppress(KeyError, ValueError):
        return round(float(info["cpu MHz"]), 1)
    return None


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text().strip() or None
    return None
