"""What a reader process does: prepare batches until nobody asks for more."""

from __future__ import annotations

import mmap
import os
import pickle
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cbir_bench.core.errors import SettingError
from cbir_bench.embeddings.messages import receive, send
from cbir_bench.embeddings.readers import ReadingError, prepare_rows

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM: Final = f"from {__name__} import main; main()"
"""What the interpreter runs, with two descriptors as its arguments: see ``main``."""
ROW: Final = struct.Struct("<q")
NO_ROW: Final = -1


class Failed(NamedTuple):
    """An error on its way to the process that asked, as the parts that it is made of."""

    kind: type[Exception]
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Return the parts of an error."""
        if isinstance(error, ImportError):
            return cls(type(error), (str(error), error.name))
        return cls(type(error), error.args)

    def error(self) -> Exception:
        """Return the error, whatever its own constructor takes."""
        if self.kind is ReadingError:
            return ReadingError(*self.arguments)
        made = self.kind.__new__(self.kind)
        made.args = self.arguments
        if isinstance(made, ImportError):
            made.msg, made.name = self.arguments
        return made


def main() -> None:
    """Serve another process.

    The command line has a connection to that process, and eight bytes of shared memory for the row of the
    image that is being read.
    """
    connection = socket.socket(fileno=int(sys.argv[1]))
    with mmap.mmap(int(sys.argv[2]), ROW.size) as row, suppress(EOFError, OSError):
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        path, work = receive(connection)
        sys.path[:] = path
        _serve(connection, work, lambda at: ROW.pack_into(row, 0, at))


def _serve(connection: socket.socket, work: bytes, looking: Callable[[int], None]) -> None:
    rebuilt = _rebuilt(work)
    while True:
        rows = receive(connection)
        answer: Any = rebuilt
        if not isinstance(rebuilt, Failed):
            source, prepare = rebuilt
            try:
                answer = prepare_rows(source, prepare, rows, looking)
            except Exception as error:  # noqa: BLE001  raised where it was asked for
                answer = Failed.of(error)
        looking(NO_ROW)
        send(connection, answer)


def _rebuilt(work: bytes) -> Any:
    """Return the source of images and the model's preparation, or why they cannot be had here."""
    try:
        return pickle.loads(work)  # noqa: S301  from our own parent
    except ImportError as error:
        return Failed.of(error)
    except Exception as error:  # noqa: BLE001  whatever its parts' own methods raise
        said = (
            f"The images or the model's preparation cannot be rebuilt in another process: {error}. "
            "Define their classes in a module that can be imported, or choose threads as readers."
        )
        return Failed(SettingError, (said,))


def _end_with(connection: socket.socket) -> None:
    """End this process when the other end of its connection is closed, as it is by dying."""
    hung_up = select.poll()
    hung_up.register(connection, 0)
    hung_up.poll()
    os._exit(1)
