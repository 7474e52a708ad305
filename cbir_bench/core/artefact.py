"""Folders of files that appear in full or not at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX: Final = ".tmp"
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY)
_LEFTOVER_SECONDS: Final = 60.0
"""A temporary folder younger than this may be one whose writer is just about to lock it."""


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder to write into; when the block ends, it becomes ``final``.

    Files and folder are synced to disk before the rename, so that a crash at any moment leaves either
    everything or nothing under the final name. Where another process finished the same folder first,
    its files stay and ours are dropped: under a content address both are the same.

    Raises:
        DataError: if the disk is full or the place cannot be written; nothing half-written stays.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(final)
        temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}{_SUFFIX}")
        temporary.mkdir()
        try:
            with _locked(temporary):
                yield temporary
                _sync(temporary)
                _move(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{final} cannot be written: {error.strerror or error}. Make room or choose another "
            "folder, and run the same command again; nothing half-written stays."
        ) from error


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _move(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the kernel lets go of when the process ends in any way."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: then a leftover is never removed
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(final: Path) -> None:
    """Delete the temporary folders of writers that were killed."""
    for folder in final.parent.glob(f".{final.name}.*{_SUFFIX}"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < _LEFTOVER_SECONDS:
                continue
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)
