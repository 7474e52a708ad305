"""What this package needs and can use, as its own metadata says."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

OURS: Final = "cbir-bench"


class Wanted(NamedTuple):
    """A package that is needed, or used if it is there.

    Attributes:
        name: in the one spelling that all tools reduce names to.
        extra: the extra that brings it; empty where it is needed for everything.
        versions: those that will do, as ">=1.26"; empty for all.
    """

    name: str
    extra: str = ""
    versions: str = ""

    def refuses(self, version: str) -> bool:
        """Return whether an installed version will not do."""
        from packaging.specifiers import SpecifierSet

        return not SpecifierSet(self.versions).contains(version, prereleases=True)


def wanted() -> list[Wanted]:
    """Return the packages that the metadata names, for this system, each once; none without metadata.

    Where the package that reads such lines is missing itself, it is the only one.
    """
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return [Wanted("packaging")]
    try:
        found = metadata(OURS)
    except PackageNotFoundError:
        return []
    extras = found.get_all("Provides-Extra") or []
    lines = found.get_all("Requires-Dist") or []
    packages: dict[str, Wanted] = {}
    for one in _for_this_system(map(Requirement, lines), extras):
        packages.setdefault(one.name, one)
    return list(packages.values())


def canonical(name: str) -> str:
    """Return the spelling of a name that all tools reduce it to."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _for_this_system(requirements: Iterator[Requirement], extras: list[str]) -> Iterator[Wanted]:
    for one in requirements:
        name, versions = canonical(one.name), str(one.specifier)
        for extra in ("", *extras):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                yield Wanted(name, extra, versions)
                break
