"""What is installed and what is not, as the package's own metadata lists it; index libraries are tried."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import packages_distributions
from os import environ
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import first_line
from cbir_bench.core.registry import INDEXES
from cbir_bench.doctor.requirements import OURS, canonical, wanted
from cbir_bench.measure.provenance import provenance
from cbir_bench.measure.threads import thread_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cbir_bench.doctor.requirements import Wanted

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
    packages = [_look(one, modules.get(one.name, ())) for one in wanted()]
    return sorted(packages, key=lambda one: (bool(one.extra), not one.modules))


@cache
def _index_modules() -> dict[str, tuple[str, ...]]:
    """Return the modules of index libraries by the package that brings them, where it is installed."""
    found: dict[str, tuple[str, ...]] = {}
    known = packages_distributions()
    with suppress(
        ModuleNotFoundError
    ):  # without NumPy no index can be listed, and it is told anyway
        indexes = [INDEXES.get(name) for name in INDEXES.names()]
        used = {module for index in indexes if not index.EXACT for module in index.REQUIRES}
        pairs = [(module, package) for module in sorted(used) for package in known.get(module, ())]
        for module, package in dict.fromkeys(pairs):
            name = canonical(package)
            found[name] = (*found.get(name, ()), module)
    return found


def _look(one: Wanted, modules: Iterable[str]) -> Package:
    """Return what is installed of a package."""
    package = Package(name=one.name, extra=one.extra)
    install = f"pip install '{OURS}[{one.extra}]'" if one.extra else f"pip install {one.name}"
    found = provenance(one.name)
    if found is None:
        return replace(package, problem="not installed", command=install)
    there = replace(package, version=found.version, origin=str(found), modules=tuple(modules))
    if one.refuses(found.version):
        problem = f"too old or too new, {one.versions} is needed"
        return replace(there, problem=problem, command=f"pip install '{one.name}{one.versions}'")
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
