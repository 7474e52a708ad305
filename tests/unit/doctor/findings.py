"""A machine and packages that nothing is wrong with, for tests to spoil."""

from __future__ import annotations

from typing import Any

from cbir_bench.doctor.installed import Package
from cbir_bench.doctor.noise import Floor, Smallest

GIB = 1 << 30


def machine(**spoiled: Any) -> dict[str, Any]:
    return {
        "cpu_model": "Good CPU",
        "cpu_flags": ["avx", "avx2", "fma"],
        "hypervisor": False,
        "n_cores": 8,
        "n_allowed_cores": 8,
        "n_numa_nodes": 1,
        "governor": "performance",
        "frequency_mhz": {"min": 800.0, "max": 3000.0, "current": 3000.0},
        "memory_bytes": 64 * GIB,
        "memory_available_bytes": 60 * GIB,
        "memory_limit_bytes": None,
        "cpu_limit_cores": None,
        "cpuset": None,
        "load_average": [0.1, 0.1, 0.1],
        "cpu_in_use": 0.0,
        "cpu_waiting": 0.0,
        "cpu_stolen": 0.0,
        "kernel": "6.1",
        "disk": {"cache": {"folder": "/c", "free_bytes": 90 * GIB}},
        "features": {"clear_refs": True, "schedstat": True},
    } | spoiled


def simd(*compiled: str, unused: tuple[str, ...] = (), beyond: tuple[str, ...] = ()):
    return {
        "compiled": list(compiled),
        "unused": list(unused),
        "beyond": list(beyond),
        "in_use": None,
        "how": "machine code",
    }


def library(**more: Any) -> Package:
    plain = {
        "name": "hnswlib",
        "version": "0.8",
        "origin": "compiled here (linux_x86_64)",
        "modules": ("hnswlib",),
        "simd": simd("avx", "fma"),
    }
    return Package(**(plain | more))


def floor(wall: float = 1.0, cpu: float = 0.5) -> Floor:
    def smallest(percent: float) -> Smallest:
        return Smallest(
            percent=percent, low=percent / 2, high=percent * 2, of_pairs_percent=percent / 3
        )

    return Floor(
        workload="exact search", n_pairs=9, median_us=150.0, wall=smallest(wall), cpu=smallest(cpu)
    )
