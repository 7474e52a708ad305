"""A checkup as text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.measure.simd import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cbir_bench.doctor.checkup import Checkup
    from cbir_bench.doctor.installed import Package
    from cbir_bench.doctor.noise import Floor

_WIDTH: Final = 80
_NAME: Final = 16
_NAME_OF_PACKAGE: Final = 24
_GIB: Final = 1 << 30
_RUN: Final = " Run: "
"""What stands before a command at the end of a piece of advice."""
_BITS: Final = dict(zip(LEVELS, ("AVX", "FMA", "AVX-512"), strict=True))


def as_text(found: Checkup) -> str:
    """Return what was found, the worst last, where it is read first."""
    sections = [
        ("Machine", _machine(found.machine)),
        ("Index libraries", _libraries(found.packages)),
        ("Other packages", _others(found.packages)),
        ("Noise: the same work against itself", _noise(found.floors)),
        ("Advice", _numbered(found.advice)),
        ("Missing", _missing(found.missing)),
    ]
    blocks = ["\n".join((title, *body)) for title, lines in sections if (body := list(lines))]
    return "\n\n".join([*blocks, _verdict(found)])


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    virtual = ", virtual" if machine["hypervisor"] else ""
    nodes = machine["n_numa_nodes"] or 1
    yield _row("processor", f"{machine['cpu_model'] or 'unknown'}{virtual}")
    yield _row(
        "cores",
        f"{machine['n_cores']}, {machine['n_allowed_cores']} allowed"
        f"{_limit(machine['cpu_limit_cores'], ' CPU seconds a second')}, "
        f"{nodes} memory node{'s' if nodes > 1 else ''}",
    )
    yield _row("features", " ".join(machine["cpu_flags"]) or "unknown")
    yield _row("frequency", _frequency(machine))
    yield _row("load", _load(machine))
    yield _row(
        "memory",
        f"{_size(machine['memory_bytes'])}, {_size(machine['memory_available_bytes'])} available"
        + _limit(_size(machine["memory_limit_bytes"]) if machine["memory_limit_bytes"] else None),
    )
    for name, disk in machine["disk"].items():
        yield _row(f"disk of {name}", f"{_size(disk['free_bytes'])} free in {disk['folder']}")
    features = machine["features"]
    has = [name for name, there in features.items() if there]
    lacks = [name for name, there in features.items() if not there]
    yield _row("kernel", f"{machine['kernel']} with {', '.join(has) or 'nothing that helps'}")
    if lacks:
        yield _row("", f"without {', '.join(lacks)}")


def _libraries(packages: Iterable[Package]) -> Iterator[str]:
    for one in packages:
        if one.modules:
            state = one.problem or f"{one.origin}{_simd(one)}"
            yield _row(one.name, f"{one.version or '':<9} {state}")


def _others(packages: Iterable[Package]) -> Iterator[str]:
    plain = [one for one in packages if not one.modules]
    there = [one for one in plain if one.required and not one.problem]
    if there:
        yield _row("required", f"{len(there)} others are installed", _NAME_OF_PACKAGE)
    for one in plain:
        if one.extra:
            yield _row(one.name, _state(one), _NAME_OF_PACKAGE)


def _noise(floors: Iterable[Floor]) -> Iterator[str]:
    for one in floors:
        wall, cpu = one.wall, one.cpu
        yield from textwrap.wrap(
            f"{one.workload}, {one.median_us:,.0f} us a query: a difference in median latency below "
            f"{wall.percent:.1f} % of wall time ({wall.low:.1f} to {wall.high:.1f}) or {cpu.percent:.1f} % "
            f"of CPU time ({cpu.low:.1f} to {cpu.high:.1f}) is no difference, when two settings are measured "
            f"once. Measured in {one.n_pairs} pairs of processes, {wall.of_pairs_percent:.1f} and "
            f"{cpu.of_pairs_percent:.1f} % can be told apart (95 %).",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
        )


def _numbered(sentences: Iterable[str]) -> Iterator[str]:
    """Yield sentences under numbers; a command is on a line of its own, so that it can be copied."""
    for number, sentence in enumerate(sentences, 1):
        text, run, command = sentence.partition(_RUN)
        yield textwrap.fill(
            text,
            _WIDTH,
            initial_indent=f"{number:>3} ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        if run:
            yield f"    {command}"


def _missing(packages: Iterable[Package]) -> Iterator[str]:
    for one in packages:
        yield _row(one.name, f"{one.problem}; {one.command}", _NAME_OF_PACKAGE)


def _verdict(found: Checkup) -> str:
    if found.missing:
        return f"{len(found.missing)} required packages cannot be used: nothing can be measured."
    if found.advice:
        return "Everything that is required is there; read the advice before you trust a time."
    return "Everything is well."


def _state(package: Package) -> str:
    if package.problem:
        return f"{package.problem}; {package.command}"
    return f"{package.version:<9} {package.origin}, extra {package.extra!r}"


def _row(name: str, text: str, width: int = _NAME) -> str:
    """Return a name and what there is to say, with the name's column kept free below it."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"  {name:<{width - 1}} ",
        subsequent_indent=" " * (width + 2),
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _simd(package: Package) -> str:
    if package.simd is None:
        return ""
    compiled = [_BITS[level] for level in package.simd["compiled"]]
    chosen = f", {package.simd['in_use']} in use" if package.simd["in_use"] else ""
    return f", {' '.join(compiled) or 'nothing beyond SSE'}{chosen}"


def _frequency(machine: dict[str, Any]) -> str:
    known = {name: mhz for name, mhz in machine["frequency_mhz"].items() if mhz}
    shown = ", ".join(f"{name} {mhz:,.0f} MHz" for name, mhz in known.items())
    return f"{shown or 'unknown'}, governor {machine['governor'] or 'unknown'}"


def _load(machine: dict[str, Any]) -> str:
    average = ", ".join(f"{one:g}" for one in machine["load_average"] or ()) or "unknown"
    shares = [
        f"{machine[name]:.0%} {words}"
        for name, words in (
            ("cpu_in_use", "of the CPU in use"),
            ("cpu_waiting", "of the time somebody waits"),
            ("cpu_stolen", "stolen by the host"),
        )
        if machine[name] is not None
    ]
    return "; ".join([average, *shares])


def _size(n_bytes: int | None) -> str:
    return "unknown" if n_bytes is None else f"{n_bytes / _GIB:.1f} GiB"


def _limit(limit: object, unit: str = "") -> str:
    return "" if limit is None else f", at most {limit}{unit}"
