"""Where installed packages come from: version, who installed them, and who compiled them for what."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[1]
_PORTABLE: Final = ("manylinux", "musllinux", "macosx", "win")
"""What the platform of a wheel begins with that somebody compiled for many machines."""
_LONGEST_LINK: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """How a package came here.

    Attributes:
        version: as its metadata says.
        platforms: of its wheel: ("any",) for pure Python, ("linux_x86_64",) for what was compiled on a
            machine like this one, ("manylinux_2_28_x86_64",) for what was compiled elsewhere for many.
        installer: who installed it, as "pip"; empty if nobody said.
        editable: whether it is a source folder in which changes count at once.
    """

    version: str
    platforms: tuple[str, ...]
    installer: str
    editable: bool

    @property
    def compiled_here(self) -> bool:
        """Whether it was compiled for this machine, or one like it, instead of for many."""
        return any(
            platform != "any" and not platform.startswith(_PORTABLE) for platform in self.platforms
        )

    def __str__(self) -> str:
        if self.editable:
            return "editable"
        if not self.platforms:
            return "of unknown origin"
        if self.compiled_here:
            return f"compiled here ({self.platforms[-1]})"
        return "pure Python" if self.platforms == ("any",) else f"prebuilt ({self.platforms[-1]})"


@cache
def provenance(package: str) -> Provenance | None:
    """Return how a package came here, from its metadata alone; None if it is not installed.

    Args:
        package: its name as pip knows it.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return None
    return Provenance(
        version=found.version,
        platforms=_platforms(found),
        installer=(found.read_text("INSTALLER") or "").strip(),
        editable=_editable(found),
    )


@cache
def git_commit(package: Path = _PACKAGE) -> str | None:
    """Return the commit of the checkout that a package runs from; None where it runs from none.

    Changes that nobody has committed are not seen. Git itself is not asked, so that it need not be there.
    """
    root = package.parent
    if not (root / "pyproject.toml").is_file():
        return None  # installed; a checkout around the environment is somebody else's
    with suppress(OSError, ValueError, IndexError):
        folder = _git_folder(root / ".git")
        return _resolve(folder, "HEAD")
    return None


def _platforms(found: Distribution) -> tuple[str, ...]:
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
    platforms = (part for tag in tags for part in tag.rpartition("-")[2].split("."))
    return tuple(dict.fromkeys(platforms))


def _editable(found: Distribution) -> bool:
    with suppress(ValueError):
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable", False))
    return False


def _git_folder(path: Path) -> Path:
    """Return the folder behind ``.git``, which is a file that names it in a linked work tree."""
    if path.is_dir():
        return path
    return (path.parent / path.read_text().partition(":")[2].strip()).resolve()


def _resolve(folder: Path, name: str) -> str | None:
    """Return the commit behind a reference, following those that only name another one."""
    for _ in range(_LONGEST_LINK):
        text = _reference(folder, name)
        if text is None or not text.startswith("ref:"):
            return text
        name = text.partition(":")[2].strip()
    return None


def _reference(folder: Path, name: str) -> str | None:
    common = folder / "commondir"
    shared = (folder / common.read_text().strip()).resolve() if common.is_file() else folder
    for place in (folder, shared):
        if (place / name).is_file():
            return (place / name).read_text().strip()
    with suppress(OSError):
        for line in (shared / "packed-refs").read_text().splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name:
                return commit
    return None
