"""Files that are there in full or not at all, whatever happens while they are written."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX: Final = ".tmp"


def write_file(path: Path, content: bytes) -> None:
    """Write a file next to its final place, sync it to disk, rename it, and sync its folder.

    Raises:
        RecordError: if the disk is full or the folder refuses; an older file is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}")
    try:
        with _writing(path.parent) as folder:
            try:
                _write_synced(temporary, content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            os.fsync(folder)
    except OSError as error:
        raise RecordError(
            f"{path} cannot be written: {error.strerror or error}. Make room or give another folder, "
            "and run the same command again; everything written before is kept."
        ) from error


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files of killed writers and return how many there were.

    While another process writes into the folder nothing is deleted, since a file may be its.
    """
    with _opened(folder) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        leftovers = [path for path in folder.iterdir() if _is_temporary(path)]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _writing(folder: Path) -> Iterator[int]:
    """Hold a lock that several writers share; a killed process gives its up by dying."""
    with _opened(folder) as handle:
        with suppress(
            OSError
        ):  # some network file systems lock no folders: then nothing is cleaned
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)
