"""Readers in processes of their own, for images whose decoding holds Python's lock."""

from __future__ import annotations

import mmap
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.embeddings.messages import receive, send
from cbir_bench.embeddings.reader_process import NO_ROW, PROGRAM, ROW, Failed
from cbir_bench.embeddings.readers import ReadingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.training_data import TrainingData

_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
"""There is a process for each core."""


class ReaderProcesses:
    """Processes that prepare batches; they end with this process, however it ends.

    They are fresh ones, not copies: a copy of a process that has threads may lock up.

    Args:
        n: how many.
        items: whose images are read.
        prepare: a model's, see ``core.model.Embedder``.

    Raises:
        SettingError: if the source of images or ``prepare`` cannot be sent to another process.
        DataError: if no process can be started.
    """

    def __init__(
        self, n: int, items: Dataset | TrainingData, prepare: Callable[[Sequence[Image]], Any]
    ) -> None:
        self._items = items
        try:
            work = pickle.dumps((items.images, prepare), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # whatever its parts' own methods raise
            raise SettingError(
                f"The images of {items.name!r} or the model's preparation cannot be sent to other processes: "
                f"{error}. Choose threads as readers."
            ) from error
        self._readers: list[_Reader] = []
        self._idle: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
        try:
            for _ in range(n):
                self._readers.append(_Reader(work))
                self._idle.put(self._readers[-1])
        except OSError as error:
            self.stop()
            raise DataError(
                f"A reader of {items.name!r} cannot be started: {error.strerror}. Use fewer readers."
            ) from error
        except BaseException:
            self.stop()
            raise

    def prepared(self, rows: NDArray[np.int64]) -> Any:
        """Return what ``prepare`` makes of the images of a batch.

        As many threads may call it at once as there are processes.

        Raises:
            DataError: if an image cannot be read or prepared, or the process ended; the message names
                the image.
        """
        reader = self._idle.get()
        try:
            return reader.prepared(rows)
        except ReadingError as error:
            raise error.named(self._items) from error
        except (OSError, EOFError) as error:
            raise self._ended(reader) from error
        finally:
            self._idle.put(reader)

    def stop(self) -> None:
        """End all processes at once."""
        for reader in self._readers:
            reader.stop()

    def _ended(self, reader: _Reader) -> DataError:
        """Return a sentence on a process that is no more."""
        row, how = reader.row, reader.how_it_ended()
        doing = (
            f"it read the image {self._items.ids[row]!r}" if row != NO_ROW else "it read no image"
        )
        return DataError(
            f"A reader of {self._items.name!r} ended ({how}) while {doing}. If memory ran out, use fewer "
            "readers; else look at the image, or leave it out."
        )


class _Reader:
    """One process, at this end."""

    def __init__(self, work: bytes) -> None:
        memory = os.memfd_create("row")
        self._socket, other = socket.socketpair()
        # Children inherit what is blocked: an interrupt from the keyboard is this process's affair.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            os.ftruncate(memory, ROW.size)
            self._row = mmap.mmap(memory, ROW.size)
            ROW.pack_into(self._row, 0, NO_ROW)
            self._process = _start(other.fileno(), memory)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(memory)
            other.close()
        with suppress(OSError):  # it has ended already, which the first batch will tell
            send(self._socket, (sys.path, work))

    @property
    def row(self) -> int:
        """The row of the image that is being read; ``NO_ROW`` if none is."""
        row: int = ROW.unpack_from(self._row)[0]
        return row

    def prepared(self, rows: NDArray[np.int64]) -> Any:
        """Return a batch.

        Raises:
            CbirBenchError, ReadingError, ImportError, MemoryError: what happened in the process.
            OSError, EOFError: if it is no more.
        """
        send(self._socket, rows)
        answer = receive(self._socket)
        if isinstance(answer, Failed):
            raise answer.error()
        return answer

    def how_it_ended(self) -> str:
        """Return the exit code, or the name of the signal, of a process that closed its connection."""
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "it does not answer"
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def stop(self) -> None:
        """End the process; a thread that waits for it gets an EOFError."""
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _start(connection: int, memory: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own interpreter and program
        [sys.executable, "-P", "-c", PROGRAM, str(connection), str(memory)],
        stdin=subprocess.DEVNULL,
        pass_fds=[connection, memory],
        env={**os.environ, **_ONE_THREAD},
    )
