"""What could spoil a measurement here, each in a sentence, with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cbir_bench.doctor.machine import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cbir_bench.doctor.installed import Package
    from cbir_bench.doctor.noise import Floor

_BUSY: Final = 0.5
"""Running processes for each core, on the mean of a minute."""
_WAITING: Final = 0.05
_STOLEN: Final = 0.01
_SLOW: Final = ("powersave", "ondemand", "conservative")
_LITTLE_MEMORY: Final = 4 << 30
_LITTLE_DISK: Final = 5 << 30
_NOISY_PERCENT: Final = 5.0
_GIB: Final = 1 << 30


def advice(
    machine: dict[str, Any], packages: Iterable[Package], floors: Iterable[Floor]
) -> list[str]:
    """Return a sentence or two for everything that a reader of measurements should know or mend.

    Args:
        machine: as ``doctor.machine.machine`` returns it.
        packages: as ``doctor.installed.installed`` returns them.
        floors: what was measured of the noise, if it was.
    """
    return [
        *_on_load(machine),
        *_on_cores(machine),
        *_on_room(machine),
        *_on_features(machine["features"]),
        *(text for package in packages for text in _on_package(package)),
        *(text for floor in floors for text in _on_floor(floor)),
    ]


def _on_load(machine: dict[str, Any]) -> Iterator[str]:
    cores = machine["n_allowed_cores"] or 1
    average = machine["load_average"]
    if average and average[0] > _BUSY * cores:
        yield (
            f"Others run here: the load is {average[0]:g} on {cores} cores. Stop them, or trust CPU times "
            "and ratios within one run alone."
        )
    elif (machine["cpu_waiting"] or 0) > _WAITING:
        yield (
            f"In {machine['cpu_waiting']:.0%} of the last 10 seconds somebody waited for a core. Stop what "
            "else runs here."
        )
    if (machine["cpu_stolen"] or 0) > _STOLEN:
        yield (
            f"The host gave {machine['cpu_stolen']:.1%} of the CPU time to others. Use a machine with cores "
            "of its own, or repeat runs at another time."
        )
    if machine["governor"] in _SLOW:
        yield (
            f"The governor {machine['governor']!r} lowers the frequency of idle cores, so that the first "
            "calls are slow. Run: sudo cpupower frequency-set -g performance"
        )


def _on_cores(machine: dict[str, Any]) -> Iterator[str]:
    allowed, limit = machine["n_allowed_cores"], machine["cpu_limit_cores"]
    if allowed == 1:
        yield (
            "Only one core may be used: what is measured shares it with everything else. Allow a second one."
        )
    if limit is not None and allowed and limit < allowed:
        yield (
            f"The control group allows {limit:g} CPU seconds in a second on {allowed} cores and then stops "
            "whoever runs, which shows as a slow tail. Raise the limit, or allow whole cores (cpuset)."
        )
    if (machine["n_numa_nodes"] or 1) > 1:
        yield (
            f"There are {machine['n_numa_nodes']} memory nodes, and a far one is slower. Run: numactl "
            "--cpunodebind=0 --membind=0 cbir-bench run SUITE"
        )


def _on_room(machine: dict[str, Any]) -> Iterator[str]:
    sizes = [machine[n] for n in ("memory_limit_bytes", "memory_available_bytes")]
    memory = min((size for size in sizes if size is not None), default=None)
    if memory is not None and memory < _LITTLE_MEMORY:
        yield (
            f"{memory / _GIB:.1f} GiB of memory can be had. Set [measure] memory_limit_bytes, so that a "
            "large index becomes a record with a reason instead of a killed run."
        )
    for name, disk in machine["disk"].items():
        if disk["free_bytes"] is not None and disk["free_bytes"] < _LITTLE_DISK:
            option = "--cache" if name == "cache" else "--out"
            yield (
                f"{disk['free_bytes'] / _GIB:.1f} GiB are free for the {name} in {disk['folder']}. Make "
                f"room, or give another folder with {option}."
            )


def _on_features(features: dict[str, bool]) -> Iterator[str]:
    for name, there in features.items():
        if not there:
            yield f"The system has no {name}. {FEATURES[name]}"


def _on_package(package: Package) -> Iterator[str]:
    if package.version is None or package.simd is None:
        return
    if package.plain:
        idle = ", ".join(package.simd["unused"])
        what = (
            f"Build it for this processor; that takes minutes and a compiler. Run: {package.command}"
            if package.command
            else "Its times are not those of a build for this processor."
        )
        yield (
            f"{package.name}, {package.origin}, has no instruction beyond SSE, and {idle} lie idle. {what}"
        )
    if package.simd["beyond"] and package.origin.startswith("compiled here"):
        yield (
            f"{package.name} was compiled for a processor with {', '.join(package.simd['beyond'])}, which "
            f"this one lacks: it may crash. Run: pip install --force-reinstall --no-cache-dir {package.name}"
        )


def _on_floor(floor: Floor) -> Iterator[str]:
    wall, cpu = floor.wall.percent, floor.cpu.percent
    if wall > _NOISY_PERCENT:
        way = (
            "Compare CPU times"
            if cpu < wall / 2
            else f"Measure in {floor.n_pairs} pairs, which show {floor.wall.of_pairs_percent:.1f} %"
        )
        yield (
            f"{floor.workload}: wall times of equal work differ by up to {wall:.1f} % here, CPU times by "
            f"{cpu:.1f} %. {way}, or look for what else runs."
        )
