"""A matrix on disk that is written piece by piece and hashed as it is, never in memory as a whole."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from cbir_bench.core.hashing import begin_array_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix

_PIECE_BYTES: Final = 1 << 20


class VectorsFile:
    """A NumPy file of float32 vectors, the same to the last byte as ``numpy.save`` would write it.

    Args:
        path: opened as it is where it holds a matrix of this shape, or a part of one; else begun anew.
        shape: ``(n_items, dim)`` of the finished matrix.

    Raises:
        OSError: here and in all methods, if the disk is full or the file cannot be read or written.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path, self.shape = path, shape
        self._row_bytes = shape[1] * np.dtype(np.float32).itemsize
        self._digest = begin_array_hash(np.dtype(np.float32), shape)
        self._n_hashed = 0
        header = _header(shape)
        self._begin = len(header)
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: PTH123, SIM115  held
        if self._file.read(len(header)) != header:
            self._file.truncate(0)
            self._write_at(0, memoryview(header))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, start: int, vectors: Matrix) -> memoryview:
        """Write ``(n, dim)`` float32 vectors from row ``start`` on; return their bytes."""
        content = np.ascontiguousarray(vectors).data.cast("B")
        self._write_at(self._begin + start * self._row_bytes, content)
        if start == self._n_hashed:
            self._digest.update(content)
            self._n_hashed += len(vectors)
        return content

    def holds(self, start: int, stop: int, sha256: str) -> bool:
        """Return whether the bytes of some rows are there and have this SHA-256."""
        rows, whole = hashlib.sha256(), self._digest.copy()
        for piece in self._pieces(start, stop):
            rows.update(piece)
            whole.update(piece)
        if rows.hexdigest() != sha256:
            return False
        if start == self._n_hashed:
            self._digest, self._n_hashed = whole, stop
        return True

    def sha256(self) -> str:
        """Return ``hash_array`` of the finished matrix; what was written in order is not read again."""
        for piece in self._pieces(self._n_hashed, self.shape[0]):
            self._digest.update(piece)
        self._n_hashed = self.shape[0]
        return self._digest.hexdigest()

    def sync(self) -> None:
        """Return when everything written so far is safe on disk."""
        os.fsync(self._file.fileno())

    def _write_at(self, place: int, content: memoryview) -> None:
        self._file.seek(place)
        while content:
            content = content[self._file.write(content) :]

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        self._file.seek(self._begin + start * self._row_bytes)
        left = (stop - start) * self._row_bytes
        while left and (piece := self._file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece


def hash_mapped(path: Path, vectors: np.memmap[Any, Any]) -> str:
    """Return ``hash_array`` of a matrix that is mapped from a file, without mapping all of it into memory."""
    digest = begin_array_hash(vectors.dtype, vectors.shape)
    if not vectors.flags.c_contiguous:  # its bytes are in another order than the hash wants them
        return ""
    with path.open("rb") as file:
        file.seek(vectors.offset)
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _header(shape: tuple[int, int]) -> bytes:
    content = io.BytesIO()
    what = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, what)
    return content.getvalue()
