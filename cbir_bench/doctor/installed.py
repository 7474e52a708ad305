"""What is installed and what is not, as the package's own metadata lists it; index libraries are tried."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from os import environ
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cbir_bench.core.errors import first_line
from cbir_bench.core.registry import INDEXES
from cbir_bench.measure.provenance import provenance
from cbir_bench.measure.threads import thread_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OURS: Final = "cbir-bench"
_PROBE_SECONDS: Final = 120
_BUILT_FROM_SOURCE: Final = {
    "nmslib": "pip install --force-reinstall --no-deps --no-binary nmslib nmslib"
}
"""Packages whose build from source uses what the processor has; some 3 minutes of one core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package that this one needs, or can use.

    Attributes:
        name: as pip knows it.
        extra: the extra that brings it; empty where it is needed for everything.
        version: None where it is not installed.
        origin: in words, who compiled it.
        modules: index libraries that it holds.
        simd: what ``library_simd`` says of its index library.
        problem: why it cannot be used, in a sentence without a full stop; empty if it can.
        command: what installs it, or builds it anew for this processor; empty where nothing is to do.
    """

    name: str
    extra: str = ""
    version: str | None = None
    origin: str = ""
    modules: tuple[str, ...] = ()
    simd: dict[str, Any] | None = None
    problem: str = ""
    command: str = ""

    @property
    def required(self) -> bool:
        """Whether nothing works without it."""
        return not self.extra

    @property
    def plain(self) -> bool:
        """Whether its code leaves unused all that the processor has beyond 128 bits."""
        return bool(self.simd and self.simd["unused"] and not self.simd["compiled"])


def installed() -> list[Package]:
    """Return every package of this one's metadata, those that are needed first, index libraries tried."""
    modules = _index_modules()
    packages = [_look(one, modules.get(one.name, ())) for one in _wanted()]
    return sorted(packages, key=lambda one: (bool(one.extra), not one.modules))


def _wanted() -> Iterator[Package]:
    """Yield the packages that the metadata names, for this system, each once."""
    try:
        lines = requires(OURS) or []
    except PackageNotFoundError:
        return
    seen: set[str] = set()
    for requirement in map(Requirement, lines):
        name, extra = canonicalize_name(requirement.name), _extra_of(requirement)
        if extra is not None and name not in seen:
            seen.add(name)
            yield Package(name=name, extra=extra)


def _extra_of(requirement: Requirement) -> str | None:
    """Return the extra that a requirement is of, empty for none; None if it is not for this system."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return ""
    extras = _words_after_extra(str(marker))
    return next((extra for extra in extras if marker.evaluate({"extra": extra})), None)


def _words_after_extra(marker: str) -> list[str]:
    parts = marker.split("extra ==")[1:]
    return [part.strip().strip("\"'()").split('"')[0].split("'")[0] for part in parts]


@cache
def _index_modules() -> dict[str, tuple[str, ...]]:
    """Return the modules of index libraries by the package that brings them, where it is installed."""
    found: dict[str, tuple[str, ...]] = {}
    known = packages_distributions()
    indexes = [INDEXES.get(name) for name in INDEXES.names()]
    wanted = {module for index in indexes if not index.EXACT for module in index.REQUIRES}
    for module in sorted(wanted):
        for package in dict.fromkeys(known.get(module, ())):
            name = canonicalize_name(package)
            found[name] = (*found.get(name, ()), module)
    return found


def _look(package: Package, modules: Iterable[str]) -> Package:
    """Return the package with what is installed of it."""
    found = provenance(package.name)
    if found is None:
        wanted = f"'{OURS}[{package.extra}]'" if package.extra else package.name
        return replace(package, problem="not installed", command=f"pip install {wanted}")
    there = replace(package, version=found.version, origin=str(found), modules=tuple(modules))
    for module in modules:
        there = _tried(there, *probe(module))
    return there


def _tried(package: Package, problem: str, simd: dict[str, Any] | None) -> Package:
    command = f"pip install --force-reinstall {package.name}" if problem else ""
    tried = replace(package, problem=problem, simd=simd or package.simd, command=command)
    if tried.plain:
        return replace(tried, command=_BUILT_FROM_SOURCE.get(package.name, ""))
    return tried


def probe(
    module: str, timeout_seconds: float = _PROBE_SECONDS
) -> tuple[str, dict[str, Any] | None]:
    """Import a library in a process of its own, which it may take down.

    Returns:
        Why it cannot be imported, empty if it can; and what ``library_simd`` says of it.
    """
    command = [sys.executable, "-P", "-m", "cbir_bench.doctor.probe", module]
    try:
        run = subprocess.run(  # noqa: S603  our own interpreter and module
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            env={**environ, **thread_environment(1)},
        )
    except subprocess.TimeoutExpired:
        return f"import {module} did not end within {timeout_seconds:g} s", None
    with suppress(ValueError, IndexError, KeyError, TypeError):
        told = json.loads(run.stdout.splitlines()[-1])
        return told["problem"], told["simd"]
    return f"import {module} ended its process: {_last_words(run)}", None


def _last_words(run: subprocess.CompletedProcess[str]) -> str:
    said = run.stderr.strip().splitlines()
    if run.returncode < 0:
        return f"signal {-run.returncode}"
    return first_line(Exception(said[-1] if said else f"exit code {run.returncode}"))
