"""The file that training goes on from after it was stopped in any way, kill -9 and power cuts included."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import pickle
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAVE_SECONDS: Final = 20.0
"""Wall time between two states at least; a validation is saved at once."""
_SAVING_SHARE: Final = 0.1
"""Of the time that saving may take at most, where a state is large and the disk slow."""
_DIGEST_BYTES: Final = 32
_LEFTOVER_SECONDS: Final = 60.0
_TRIPPED: Final = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    pickle.UnpicklingError,
)
"""What torch raises for files of whatever kind."""


class StateFile:
    """One file that always holds a whole state, or is not there.

    It is the SHA-256 of what follows, and torch's archive of tensors and plain containers, loaded without
    running code.

    Args:
        path: where it is; its folder is made when the first state is saved.
        identity: whatever decides the weights; a state with another one is not used.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        self._identity = canonical_json(dict(identity))
        self._last, self._wait = time.monotonic(), SAVE_SECONDS

    def load(self) -> tuple[dict[str, Any] | None, str]:
        """Return the state, if there is one to go on from; else None, and why it starts again."""
        _remove_leftovers(self._path)
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None, ""
        except OSError as error:
            return None, f"starts again: the saved state cannot be read ({error.strerror})"
        digest, archive = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(archive).digest() != digest:
            return None, "starts again: the saved state is damaged"
        state = _unpacked(archive)
        if state is None or state.get("identity") != self._identity:
            return None, "starts again: the saved state is of another recipe, data or version"
        return state, ""

    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._last >= self._wait

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state in full, sync it to disk, and put it in the place of the last one.

        Raises:
            DataError: if the disk is full or the folder cannot be written; the last state stays.
        """
        began = time.monotonic()
        whole = {**state, "identity": self._identity}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
            try:
                _write(temporary, whole)
                temporary.replace(self._path)
                _sync_folder(self._path.parent)
            finally:
                temporary.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:  # torch turns a failed write into a RuntimeError
            raise _cannot_write(self._path, error) from error
        self._last = time.monotonic()
        self._wait = max(SAVE_SECONDS, (self._last - began) / _SAVING_SHARE)


class _HashingFile(io.RawIOBase):
    """Passes what is written on to a file, and hashes it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        n_written: int = self._file.write(content)
        return n_written


def _write(path: Path, state: Mapping[str, Any]) -> None:
    import torch

    with path.open("xb") as file:
        with suppress(OSError):  # a file system without locks: then a leftover is never removed
            fcntl.flock(file, fcntl.LOCK_SH)
        file.write(bytes(_DIGEST_BYTES))
        hashing = _HashingFile(file)
        torch.save(dict(state), hashing)
        file.seek(0)
        file.write(hashing.digest.digest())
        file.flush()
        os.fsync(file.fileno())


def _unpacked(archive: bytes) -> dict[str, Any] | None:
    """Return the table in torch's archive, or None where it holds something else."""
    import torch

    try:
        loaded = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    except _TRIPPED:
        return None
    return loaded if isinstance(loaded, dict) else None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(path: Path) -> None:
    """Delete the temporary files of writers that were killed."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime < _LEFTOVER_SECONDS:
                continue
            with leftover.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()


def _cannot_write(path: Path, error: Exception) -> DataError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
    return DataError(
        f"The state of training cannot be saved in {path}: {reason}. Make room or choose another folder, and "
        "run the same command again; it goes on from the last state that was saved."
    )


def fingerprint(tensors: Mapping[str, Any]) -> str:
    """Return the SHA-256 of named tensors: names, shapes and bytes."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
