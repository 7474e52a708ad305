"""Readers in processes of their own, for images whose decoding holds Python's lock."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import queue
import signal
import socket
import struct
import threading
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.embeddings.readers import ReadingError, prepare_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_longlong

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.training_data import TrainingData

_NONE: Final = -1
_LENGTH: Final = struct.Struct("<Q")


class ReaderProcesses:
    """Processes that prepare batches; they end with this process, however it ends.

    They are spawned, not forked: a copy of a process that has threads may lock up.

    Args:
        n: how many.
        items: whose images are read.
        prepare: a model's, see ``core.model.Embedder``.

    Raises:
        SettingError: if the source of images or ``prepare`` cannot be sent to another process.
    """

    def __init__(
        self, n: int, items: Dataset | TrainingData, prepare: Callable[[list[Image]], Any]
    ) -> None:
        self._items = items
        try:
            work = pickle.dumps((items.images, prepare), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # whatever its parts' own methods raise
            raise SettingError(
                f"The images of {items.name!r} or the model's preparation cannot be sent to other processes: "
                f"{error}. Choose threads as readers."
            ) from error
        self._readers = [_Reader(work) for _ in range(n)]
        self._idle: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
        for reader in self._readers:
            self._idle.put(reader)

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
            f"it read the image {self._items.ids[row]!r}" if row != _NONE else "it read no image"
        )
        return DataError(
            f"A reader of {self._items.name!r} ended ({how}) while {doing}. If memory ran out, use fewer "
            "readers; else look at the image, or leave it out."
        )


class _Reader:
    """One process, at this end."""

    def __init__(self, work: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._row: c_longlong = context.RawValue("q", _NONE)
        self._socket, other = socket.socketpair()
        self._process = context.Process(
            target=_serve, args=(other, work, self._row), name="reader", daemon=True
        )
        # Children inherit what is blocked: an interrupt from the keyboard is this process's affair.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            other.close()

    @property
    def row(self) -> int:
        """The row of the image that is being read; below 0 if none is."""
        return self._row.value

    def prepared(self, rows: NDArray[np.int64]) -> Any:
        """Return a batch.

        Raises:
            CbirBenchError, ReadingError, ImportError, MemoryError: what happened in the process.
            OSError, EOFError: if it is no more.
        """
        _send(self._socket, rows)
        answer = _receive(self._socket)
        if isinstance(answer, _Failed):
            raise answer.error()
        return answer

    def how_it_ended(self) -> str:
        """Return the exit code, or the name of the signal, of a process that closed its connection."""
        self._process.join(1)
        code = self._process.exitcode
        if code is None:
            return "it does not answer"
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def stop(self) -> None:
        """End the process; a thread that waits for it gets an EOFError."""
        self._process.kill()
        self._process.join()
        self._socket.close()


class _Failed(NamedTuple):
    """An error on its way here, as the parts that it is made of."""

    kind: type[Exception]
    arguments: tuple[Any, ...]

    def error(self) -> Exception:
        """Return it, whatever its own constructor takes."""
        made = self.kind.__new__(self.kind)
        if isinstance(made, ReadingError):
            made.__init__(*self.arguments)  # type: ignore[misc]
        else:
            made.args = self.arguments
        if isinstance(made, ImportError):
            made.name = self.arguments[1]
        return made


def _failed(error: Exception) -> _Failed:
    if isinstance(error, ImportError):
        return _Failed(type(error), (str(error), error.name))
    return _Failed(type(error), error.args)


def _serve(connection: socket.socket, work: bytes, row: c_longlong) -> None:
    """Prepare batches until nobody asks for more: what a reader process does."""
    from threadpoolctl import threadpool_limits

    threading.Thread(target=_end_with_parent, daemon=True).start()
    source, prepare = pickle.loads(work)  # noqa: S301  from our own parent

    def looking(at: int) -> None:
        row.value = at

    with threadpool_limits(1), suppress(EOFError, OSError):
        while True:
            rows = _receive(connection)
            try:
                answer = prepare_rows(source, prepare, rows, looking)
            except Exception as error:  # noqa: BLE001  raised where it was asked for
                answer = _failed(error)
            looking(_NONE)
            _send(connection, answer)


def _end_with_parent() -> None:
    """End this process when its parent does, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Pickler(pickle.Pickler):
    """Leaves the numbers of arrays where they are, in whatever order of axes they lie in memory."""

    def reducer_override(self, value: Any) -> Any:
        """Send an array with its axes in another order as one in their order, and turn it back there."""
        if type(value) is not np.ndarray or value.flags.forc:
            return NotImplemented
        order = np.argsort([-stride for stride in value.strides], kind="stable")
        packed = value.transpose(order)
        if not packed.flags.c_contiguous:
            return NotImplemented
        return np.transpose, (packed, np.argsort(order))


def _send(connection: socket.socket, value: Any) -> None:
    """Send a value; its arrays go from memory to memory without a copy in between."""
    head, arrays = io.BytesIO(), list[pickle.PickleBuffer]()
    _Pickler(head, 5, buffer_callback=arrays.append).dump(value)
    parts = [head.getbuffer(), *(array.raw() for array in arrays)]
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    connection.sendall(_LENGTH.pack(len(parts)) + lengths)
    for part in parts:
        connection.sendall(part)


def _receive(connection: socket.socket) -> Any:
    """Return what ``_send`` sent at the other end.

    Raises:
        EOFError: if the other end is closed.
        OSError: if the connection broke.
    """
    (n_parts,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    lengths = _LENGTH.iter_unpack(_exactly(connection, n_parts * _LENGTH.size))
    head, *arrays = [_exactly(connection, length) for (length,) in lengths]
    return pickle.loads(head, buffers=arrays)  # noqa: S301  from our own child or parent


def _exactly(connection: socket.socket, n_bytes: int) -> bytearray:
    content = bytearray(n_bytes)
    left = memoryview(content)
    while left:
        n_got = connection.recv_into(left)
        if not n_got:
            raise EOFError
        left = left[n_got:]
    return content
