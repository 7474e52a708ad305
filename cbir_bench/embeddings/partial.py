"""Vectors under construction in a folder beside their final one, safe from kill -9 shard by shard."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from cbir_bench.core.errors import DataError
from cbir_bench.embeddings.vectors_file import VectorsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix

COMMIT_SECONDS: Final = 10.0
"""Longest time between two commits; so much work a killed process loses."""
_POLL_SECONDS: Final = 0.5
_LOCK: Final = "lock"
_SHARDS: Final = "shards.jsonl"
_VECTORS: Final = "vectors.npy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Rows whose vectors are safe on disk.

    Attributes:
        tag: what they are part of.
        start, stop: the rows, first and one after the last.
        sha256: of their bytes.
        seconds: how long it took to compute them.
    """

    tag: str
    start: int
    stop: int
    sha256: str
    seconds: float


class Partial:
    """A matrix whose rows are written in batches, and committed together every few seconds.

    A shard counts once its vectors are on disk and a line of ``shards.jsonl`` says so, with their hash.
    What a killed process wrote after its last such line, what is damaged, and what is part of something
    else, is computed again.

    Args:
        folder: there already, and locked.
        shape: ``(n_items, dim)`` of the finished matrix.
        tag: the same only for the same vectors in the same batches.
        batch_size: every shard begins at a multiple of it.

    Attributes:
        file: the matrix, as far as it is written.

    Raises:
        DataError: if the folder cannot be read or written.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], tag: str, batch_size: int) -> None:
        self._folder, self._tag, self._batch_size = folder, tag, batch_size
        self._shards: list[Shard] = []
        with _writing(folder):
            self.file = VectorsFile(folder / _VECTORS, shape)
            for shard in sorted(_read(folder), key=lambda one: one.start):
                if self._fits(shard) and self.file.holds(shard.start, shard.stop, shard.sha256):
                    self._shards.append(shard)
            self._keep_shards()
        self._start = self._stop = 0
        self._digest = hashlib.sha256()
        self._since = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Commit what can be: whatever stopped the work, the images that are done are done."""
        with self.file, suppress(DataError):
            self.commit()

    @property
    def n_done(self) -> int:
        """How many rows are committed."""
        return sum(shard.stop - shard.start for shard in self._shards)

    @property
    def seconds(self) -> float:
        """How long the committed rows took, in all attempts together."""
        return sum(shard.seconds for shard in self._shards)

    def missing(self) -> list[slice]:
        """Return the batches that are not committed, in order."""
        n, size = self.file.shape[0], self._batch_size
        there = {start for s in self._shards for start in range(s.start, s.stop, size)}
        return [slice(a, min(a + size, n)) for a in range(0, n, size) if a not in there]

    def write(self, start: int, vectors: Matrix) -> None:
        """Write the vectors of a batch, and commit if it is time.

        Raises:
            DataError: if the disk is full or the folder cannot be written.
        """
        if start != self._stop:
            self.commit()
            self._start = self._stop = start
        with _writing(self._folder):
            content = self.file.write(start, vectors)
        self._digest.update(content)
        self._stop = start + len(vectors)
        if time.perf_counter() - self._since >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Return when everything written so far is a shard.

        Raises:
            DataError: if the disk is full or the folder cannot be written.
        """
        if self._stop == self._start:
            return
        shard = Shard(
            tag=self._tag,
            start=self._start,
            stop=self._stop,
            sha256=self._digest.hexdigest(),
            seconds=time.perf_counter() - self._since,
        )
        with _writing(self._folder):
            self.file.sync()
            with (self._folder / _SHARDS).open("a", encoding="utf-8") as file:
                file.write(_line(shard))
                file.flush()
                os.fsync(file.fileno())
        self._shards.append(shard)
        self._start = self._stop
        self._digest = hashlib.sha256()
        self._since = time.perf_counter()

    def _fits(self, shard: Shard) -> bool:
        """Return whether a shard, by what is said of it, can be one of these, behind those kept so far."""
        n, size = self.file.shape[0], self._batch_size
        behind = self._shards[-1].stop if self._shards else 0
        whole = shard.stop % size == 0 or shard.stop == n
        in_order = behind <= shard.start < shard.stop <= n
        return shard.tag == self._tag and shard.start % size == 0 and whole and in_order

    def _keep_shards(self) -> None:
        """Write the list of shards anew, without those that are not kept and without a torn last line."""
        path = self._folder / _SHARDS
        new = path.with_suffix(".new")
        new.write_text("".join(map(_line, self._shards)), encoding="utf-8")
        new.replace(path)


@contextmanager
def partial_folder(final: Path, waiting: Callable[[int], None]) -> Iterator[Path]:
    """Give the folder ``.NAME.partial`` beside a final one to this process alone.

    While another process works in it, this one waits, so that it finds the work done, or goes on where
    the other was killed. The folder is removed once the final one is there.

    Args:
        final: where the finished folder is going to be.
        waiting: told now and then how many rows the other process has committed.

    Raises:
        DataError: if the place cannot be written.
    """
    folder = final.with_name(f".{final.name}.partial")
    with _writing(folder):
        handle = _locked(folder, waiting)
    try:
        yield folder
        if final.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make a full disk, or a folder that cannot be written, one sentence.

    Raises:
        DataError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written: {error.strerror or error}. Make room or choose another folder, "
            "and run the same command again; what is done is kept."
        ) from error


def _locked(folder: Path, waiting: Callable[[int], None]) -> int:
    """Return the descriptor that holds the folder's lock until it is closed, or its process ends."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # removed by the other process, which has finished
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            if _taken(handle, folder / _LOCK):
                return handle
            waiting(sum(shard.stop - shard.start for shard in _read(folder)))
            time.sleep(_POLL_SECONDS)


def _taken(handle: int, path: Path) -> bool:
    """Return whether the lock is ours now; if not, the descriptor is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(handle), path.stat())
    except OSError as error:  # held, removed meanwhile; or the file system has no locks
        ours = not isinstance(error, BlockingIOError | FileNotFoundError)
    if not ours:
        os.close(handle)
    return ours


def _read(folder: Path) -> list[Shard]:
    """Return the shards that a folder lists; torn lines are left out."""
    try:
        lines = (folder / _SHARDS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    shards = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(line)
            shards.append(
                Shard(
                    tag=str(told["tag"]),
                    start=int(told["start"]),
                    stop=int(told["stop"]),
                    sha256=str(told["sha256"]),
                    seconds=float(told["seconds"]),
                )
            )
    return shards


def _line(shard: Shard) -> str:
    return f"{json.dumps(asdict(shard))}\n"
