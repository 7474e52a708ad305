"""Vectors by the row, out of files that may be larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.core.paths import expand_user
from cbir_bench.files.ann_benchmarks import HDF5, Vectors
from cbir_bench.files.columns import ID, NO_VECTORS, Columns
from cbir_bench.files.reading import ending, located, read_vectors
from cbir_bench.files.tables import PARQUET, column_of_lists, matrix_of_lists, read_table, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_ROWS_AT_ONCE: Final = 1 << 14
_NUMBERS: Final = "fiub"
_LARGEST: Final = 1 << 24
"""Beyond it float32 does not tell whole numbers apart."""


class Source(Protocol):
    """Vectors that are somewhere, in memory or not."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_rows, dim)``."""
        ...

    def pieces(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield the vectors of some rows a piece at a time, each with its places among ``rows``."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorTable:
    """A file of vectors with what else it says of each.

    Attributes:
        source: read when rows of it are asked for.
        columns: ids, labels and whatever else there is.
    """

    source: Source
    columns: Columns

    def __len__(self) -> int:
        return self.source.shape[0]

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.source.shape[1]

    def take(self, rows: NDArray[np.int64]) -> Matrix:
        """Return the ``(n, dim)`` vectors of some rows, in any order, as float32.

        Where all rows are asked for in their order, and lie on disk as float32, they stay there. A number
        beyond float32 becomes infinity.

        Raises:
            DataError: if the file is damaged, or holds whole numbers beyond 2^24, which are no vectors.
        """
        if isinstance(self.source, _Array) and self.source.lies_ready(rows):
            ready: Matrix = self.source.array
            return ready
        taken = np.empty((len(rows), self.dim), np.float32)
        for places, piece in self.source.pieces(rows):
            if piece.dtype.kind in "iu" and np.abs(piece.astype(np.float64)).max() > _LARGEST:
                raise DataError(
                    f"{self.columns.file} holds whole numbers beyond {_LARGEST:,}, which float32 rounds. "
                    "Give vectors."
                )
            with np.errstate(over="ignore"):
                taken[places] = piece
        return taken


def open_vectors(text: str, not_dimensions: tuple[str, ...] = ()) -> VectorTable:
    """Return the vectors in a file, of which those rows are read that are asked for.

    Files of NumPy and safetensors are mapped from disk. Of a Parquet file that has one column of lists,
    a part is read at a time, and so it is of an HDF5 file of ann-benchmarks, whose ids are those of the
    data set ann_benchmarks. Other files are read as a whole.

    Args:
        text: as ``read_vectors`` takes it.
        not_dimensions: as ``read_vectors`` takes it.

    Raises:
        DataError: if there is no such file, or no matrix in it.
    """
    if ending(hdf5 := expand_user(text)) in HDF5:
        vectors = Vectors(hdf5)
        return VectorTable(
            source=vectors, columns=Columns(file=text, columns={ID: vectors.layout.ids()})
        )
    path, _ = located(text)
    if ending(path) in PARQUET and (name := column_of_lists(path, (*NO_VECTORS, *not_dimensions))):
        columns = read_table(path, without=(name,))
        rest = Columns(file=text, columns=columns)
        return VectorTable(source=_ParquetColumn(path, name), columns=rest)
    array, rest = read_vectors(text, not_dimensions)
    if array.ndim != 2 or not array.size or array.dtype.kind not in _NUMBERS:
        raise DataError(
            f"{text} holds an array of shape {array.shape} and type {array.dtype}. Give a matrix of "
            "numbers, one row for each item."
        )
    return VectorTable(source=_Array(array), columns=rest)


class _Array:
    """A matrix that is in memory, or mapped into it."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape: tuple[int, int] = array.shape

    def lies_ready(self, rows: NDArray[np.int64]) -> bool:
        """Return whether these rows are the matrix as it is, in float32."""
        ready = self.array.dtype == np.float32 and self.array.flags.c_contiguous
        return bool(ready and np.array_equal(rows, np.arange(len(self.array))))

    def pieces(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """See ``Source``."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            yield np.arange(start, start + len(part)), self.array[part]


class _ParquetColumn:
    """A column of lists in a Parquet file."""

    def __init__(self, path: Path, name: str) -> None:
        from pyarrow import parquet

        self._path, self._name = path, name
        with reading(path):
            self._file = parquet.ParquetFile(path)
        groups = range(self._file.metadata.num_row_groups)
        self._counts = [self._file.metadata.row_group(i).num_rows for i in groups]
        first = next((part for i in groups for part in self._parts(i)), np.empty((0, 0)))
        self.shape: tuple[int, int] = (sum(self._counts), first.shape[1])

    def pieces(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """See ``Source``; groups of rows none of which is asked for are not read."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        start = 0
        for group, n_rows in enumerate(self._counts):
            wanted = np.searchsorted(ascending, [start, start + n_rows])
            if wanted[0] < wanted[1]:
                for part in self._parts(group):
                    a, b = np.searchsorted(ascending, [start, start + len(part)])
                    if a < b:
                        yield order[a:b], self._checked(part, start)[ascending[a:b] - start]
                    start += len(part)
            else:
                start += n_rows

    def _parts(self, group: int) -> Iterator[Any]:
        """Yield the matrix of a group of rows, a part at a time."""
        import pyarrow as pa

        with reading(self._path):
            for batch in self._file.iter_batches(
                _ROWS_AT_ONCE, row_groups=[group], columns=[self._name]
            ):
                yield matrix_of_lists(pa.chunked_array([batch.column(0)]), self._name, self._path)

    def _checked(self, part: Any, start: int) -> Any:
        if part.shape[1] != self.shape[1]:
            raise DataError(
                f"The column {self._name!r} of {self._path} holds lists of different lengths: "
                f"{self.shape[1]} in row 0, {part.shape[1]} in row {start}. Give each item as many numbers."
            )
        return part
