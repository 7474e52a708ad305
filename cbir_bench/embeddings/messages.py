"""Python values through a socket between two processes of ours; arrays go without a copy in between."""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import socket

_LENGTH: Final = struct.Struct("<Q")


def send(connection: socket.socket, value: Any) -> None:
    """Send a value that can be pickled.

    Raises:
        OSError: if the other end is closed.
    """
    head, arrays = io.BytesIO(), list[pickle.PickleBuffer]()
    _Pickler(head, 5, buffer_callback=arrays.append).dump(value)
    parts = [head.getbuffer(), *(array.raw() for array in arrays)]
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    connection.sendall(_LENGTH.pack(len(parts)) + lengths)
    for part in parts:
        connection.sendall(part)


def receive(connection: socket.socket) -> Any:
    """Return what ``send`` sent at the other end, which has to be a process of ours: pickles can run code.

    Raises:
        EOFError: if the other end is closed.
        OSError: if the connection broke.
    """
    (n_parts,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    lengths = _LENGTH.iter_unpack(_exactly(connection, n_parts * _LENGTH.size))
    head, *arrays = [_exactly(connection, length) for (length,) in lengths]
    return pickle.loads(head, buffers=arrays)  # noqa: S301  from our own child or parent


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


def _exactly(connection: socket.socket, n_bytes: int) -> bytearray:
    content = bytearray(n_bytes)
    left = memoryview(content)
    while left:
        n_got = connection.recv_into(left)
        if not n_got:
            raise EOFError
        left = left[n_got:]
    return content
