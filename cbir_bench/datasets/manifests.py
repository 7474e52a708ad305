"""The manifests of known data sets: where their files come from, under which licence, with which hash."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cbir_bench.core.errors import DataError, UnknownNameError
from cbir_bench.core.hashing import hash_file

_PACKAGE: Final = Path(__file__).parents[1]
FOLDERS: Final = (_PACKAGE / "_shipped" / "datasets", _PACKAGE.parent / "datasets")
"""Where manifests lie in an installed package, and in a checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """A file of a data set.

    Attributes:
        name: of the file.
        sha256: of its bytes, in hexadecimal digits.
        bytes: its size.
        n_images: pictures in it.
        url: where it can be downloaded; empty if nowhere.
    """

    name: str
    sha256: str
    bytes: int
    n_images: int
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a data set.

    Attributes:
        name: the manifest's own name.
        title: the data set's.
        description: what it shows.
        licence: of the images.
        source: where it comes from.
        citation: whom to thank.
        obtain: how to get the files.
        splits: how they are divided.
        relevance: what counts as a right answer.
        files: what there is to check.
    """

    name: str
    title: str
    description: str
    licence: str
    source: str
    citation: str
    obtain: str
    splits: str
    relevance: str
    files: tuple[ManifestFile, ...] = field(default=())

    @property
    def note(self) -> str:
        """One line for the reader of the results."""
        return f"{self.title}. Licence: {self.licence}. Source: {self.source}"


def manifests() -> dict[str, Manifest]:
    """Return every shipped manifest by its name."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    return {p.stem: read_manifest(p) for p in sorted(folder.glob("*.toml"))} if folder else {}


def find_manifest(name: str) -> Manifest:
    """Return the shipped manifest called ``name``.

    Raises:
        UnknownNameError: if there is none.
    """
    known = manifests()
    if name not in known:
        raise UnknownNameError("manifest", name, known)
    return known[name]


def recognise(path: Path) -> Manifest | None:
    """Return the manifest that lists a file of this name, size and hash; None for a folder or a stranger."""
    if not path.is_file():
        return None
    for manifest in manifests().values():
        for file in manifest.files:
            if file.name == path.name and file.bytes == path.stat().st_size:
                return manifest if file.sha256 == hash_file(path) else None
    return None


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a TOML file.

    Raises:
        DataError: if a key is unknown or missing.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        files = tuple(ManifestFile(**file) for file in table.pop("files", []))
        return Manifest(name=path.stem, files=files, **table)
    except TypeError as error:
        raise DataError(
            f"The manifest {str(path)!r} is not complete: {error}. Correct its keys."
        ) from error
