"""Named files in a folder or in a zip archive, behind one face; both can be sent to other processes."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeAlias

from cbir_bench.core.errors import DataError


class FileTree(Protocol):
    """Files by their ``/``-separated names below a root."""

    @property
    def path(self) -> Path:
        """The folder or archive."""
        ...

    @property
    def title(self) -> str:
        """What to call it in reports."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the name of every file, sorted, without hidden ones."""
        ...

    def stamp(self, name: str) -> str | None:
        """Return what changes when a file does, found without reading it; None if there is no such file."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            OSError, zipfile.BadZipFile, RuntimeError: if it cannot be read or unpacked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """The files below a folder; links are followed, each folder once."""

    path: Path

    @property
    def title(self) -> str:
        """The folder's own name."""
        return self.path.absolute().name

    def names(self) -> tuple[str, ...]:
        """Return the name of every file, sorted, without hidden ones.

        Raises:
            DataError: if a name is no UTF-8, so that it could be no item's id.
        """
        found: list[str] = []
        seen: set[str] = set()
        for parent, folders, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(parent)
            # A link to a folder above would never end.
            folders[:] = [] if real in seen else sorted(f for f in folders if not _hidden(f))
            below = Path(parent).relative_to(self.path)
            found += (
                [] if real in seen else [(below / f).as_posix() for f in files if not _hidden(f)]
            )
            seen.add(real)
        return tuple(sorted(self._as_text(name) for name in found))

    def stamp(self, name: str) -> str | None:
        """Return size and time of last change; None if there is no such file."""
        file = self._file(name)
        try:
            status = file.stat()
        except (OSError, ValueError):
            return None
        return f"{status.st_size}-{status.st_mtime_ns}" if file.is_file() else None

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return self._file(name).read_bytes()

    def _as_text(self, name: str) -> str:
        """Return a name as UTF-8 has it, whatever the locale made of it."""
        try:
            return os.fsencode(name).decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"The file name {os.fsencode(name)!r} in {str(self.path)!r} is not UTF-8. "
                "Rename the file."
            ) from error

    def _file(self, name: str) -> Path:
        return self.path / os.fsdecode(name.encode())


@dataclass(frozen=True, slots=True)
class Zip:
    """The files in a zip archive, opened once per process and shared by its threads."""

    path: Path

    @property
    def title(self) -> str:
        """The archive's name without its suffix."""
        return self.path.stem

    def names(self) -> tuple[str, ...]:
        """Return the name of every file, sorted, without hidden ones."""
        entries = self._archive().infolist()
        shown = [e.filename for e in entries if not e.is_dir()]
        return tuple(sorted(name for name in shown if not any(map(_hidden, name.split("/")))))

    def stamp(self, name: str) -> str | None:
        """Return size and checksum as the archive lists them; None if there is no such file."""
        try:
            entry = self._archive().getinfo(name)
        except KeyError:
            return None
        return f"{entry.file_size}-{entry.CRC:08x}"

    def read(self, name: str) -> bytes:
        """Return a file's bytes, unpacked and checked."""
        return self._archive().read(name)

    def _archive(self) -> zipfile.ZipFile:
        # A forked process must not share the file offset, and a replaced file is another archive.
        status = self.path.stat()
        return _opened(self.path, os.getpid(), status.st_mtime_ns, status.st_size)


Source: TypeAlias = "Folder | Zip"


def open_tree(path: Path) -> Source:
    """Return the files of a folder or of a zip archive.

    Raises:
        DataError: if it is neither.
    """
    if path.is_dir():
        return Folder(path.absolute())
    try:
        tree = Zip(path.absolute())
        tree.names()
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{str(path)!r} is neither a folder nor a readable zip archive ({error}). "
            "Give a folder of images, or fetch the archive again."
        ) from error
    return tree


@lru_cache(maxsize=8)
def _opened(path: Path, process: int, changed_ns: int, size: int) -> zipfile.ZipFile:  # noqa: ARG001  the cache's key
    return zipfile.ZipFile(path)


def _hidden(name: str) -> bool:
    """Return whether an operating system put a file or folder there for itself."""
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
