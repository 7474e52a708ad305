"""Everything that a checkup finds, as one value that can be shown or written."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cbir_bench import __version__
from cbir_bench.doctor.advice import advice
from cbir_bench.doctor.installed import installed
from cbir_bench.doctor.machine import machine
from cbir_bench.doctor.noise import noise_floors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cbir_bench.doctor.installed import Package
    from cbir_bench.doctor.noise import Floor


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkup:
    """What was found.

    Attributes:
        machine: as ``doctor.machine.machine`` returns it.
        packages: what is installed and what is not.
        floors: the noise floor of each workload; empty where it was not measured.
        advice: sentences on what could spoil a measurement.
    """

    machine: dict[str, Any]
    packages: tuple[Package, ...]
    floors: tuple[Floor, ...]
    advice: tuple[str, ...]

    @property
    def missing(self) -> tuple[Package, ...]:
        """Packages without which nothing works."""
        return tuple(one for one in self.packages if one.required and one.problem)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON object."""
        return {
            "cbir_bench": __version__,
            "python": sys.version.split()[0],
            "machine": self.machine,
            "packages": [asdict(one) for one in self.packages],
            "noise": [asdict(one) for one in self.floors],
            "missing": [one.name for one in self.missing],
            "advice": list(self.advice),
        }


def check_up(
    cache: Path, results: Path, noise_seconds: float, tell: Callable[[str], None]
) -> Checkup:
    """Look at machine and installation, then measure the noise.

    Args:
        cache: where weights and embeddings are kept.
        results: where runs land.
        noise_seconds: how long to measure the noise, 0 not to.
        tell: told what takes time, before it does.
    """
    here = machine(cache, results)  # first, before what follows makes the machine busy
    tell("Trying every index library in a process of its own.")
    packages = installed()
    able = not any(one.required and one.problem for one in packages)
    floors = noise_floors(noise_seconds, tell) if noise_seconds and able else []
    return Checkup(
        machine=here,
        packages=tuple(packages),
        floors=tuple(floors),
        advice=tuple(advice(here, packages, floors)),
    )
