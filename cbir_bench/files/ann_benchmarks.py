"""The HDF5 files of ann-benchmarks (Aumueller, Bernhardsson and Faithfull, Information Systems 2020).

``train`` is what is indexed and ``test`` what is asked; ``neighbors`` and ``distances`` are the exact answer,
and the attribute ``distance`` says by what.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError, MissingPackageError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Space

HDF5: Final = (".hdf5", ".h5")
SPACE_OF: Final[dict[str, Space]] = {
    "angular": "cosine",
    "cosine": "cosine",
    "euclidean": "l2",
    "l2": "l2",
    "dot": "ip",
    "ip": "ip",
}
"""What we call the similarity behind each distance that has one among dense vectors."""
_NUMBERS: Final = "fiu"
_ROWS_AT_ONCE: Final = 1 << 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What is in a file.

    Attributes:
        n_base, n_queries, dim: sizes.
        distance: as the file calls it; empty if it does not say.
        space: the same as we call it; None if the file does not say.
        n_neighbours: exact neighbours listed of each query; 0 if there are none.
    """

    n_base: int
    n_queries: int
    dim: int
    distance: str
    space: Space | None
    n_neighbours: int

    def ids(self) -> tuple[str, ...]:
        """Return a name for each vector: the base first, then the queries."""
        return (
            *(f"train/{row}" for row in range(self.n_base)),
            *(f"test/{row}" for row in range(self.n_queries)),
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises:
        MissingPackageError: if h5py is not installed.
        DataError: if the file is none, or turns out to be damaged while it is read.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"The HDF5 file {path.name}", "h5py") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read as HDF5: {first_line(error)}. Get it anew from ann-benchmarks."
        ) from error


def layout_of(path: Path) -> Layout:
    """Return what is in a file, without reading vectors.

    Raises:
        DataError: if it is no file of dense vectors of ann-benchmarks.
    """
    with opened(path) as file:
        base, queries = (_matrix(file, name, path) for name in ("train", "test"))
        distance = file.attrs.get("distance", "")
        name = distance.decode() if isinstance(distance, bytes) else str(distance)
        if base.shape[1] != queries.shape[1]:
            raise DataError(
                f"In {path} train has {base.shape[1]} dimensions and test has {queries.shape[1]}. Get it "
                "anew."
            )
        return Layout(
            n_base=len(base),
            n_queries=len(queries),
            dim=base.shape[1],
            distance=name,
            space=_space(name, path),
            n_neighbours=_n_neighbours(file, len(queries), path),
        )


class Vectors:
    """The base and, after it, the queries of a file, read by the row (``vector_table.Source``)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.layout: Final = layout_of(path)
        n_rows = self.layout.n_base + self.layout.n_queries
        self.shape: tuple[int, int] = (n_rows, self.layout.dim)

    def pieces(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield the vectors of some rows a piece at a time, each with its places among ``rows``."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        for start, part in blocks(self._path):
            a, b = np.searchsorted(ascending, [start, start + len(part)])
            if a < b:
                yield order[a:b], part[ascending[a:b] - start]


def blocks(path: Path, *names: str) -> Iterator[tuple[int, Any]]:
    """Yield the vectors of a file a block at a time, with the row of the first: base, then queries.

    Args:
        path: of the file.
        names: of the arrays, one after the other; "train" and "test" if none is given.
    """
    first = 0
    with opened(path) as file:
        for name in names or ("train", "test"):
            array = file[name]
            for start in range(0, len(array), _ROWS_AT_ONCE):
                yield first + start, array[start : start + _ROWS_AT_ONCE]
            first += len(array)


def _matrix(file: Any, name: str, path: Path) -> Any:
    array = file.get(name)
    shape = getattr(array, "shape", None)
    if shape is None:
        raise DataError(
            f"{path} has no array {name!r}: it holds {', '.join(map(str, file)) or 'nothing'}. Give a file "
            "of ann-benchmarks, or write the vectors as npy."
        )
    if len(shape) != 2 or 0 in shape or array.dtype.kind not in _NUMBERS:
        raise DataError(
            f"The array {name!r} of {path} has the shape {shape} and the type {array.dtype}. Only data sets "
            "of dense vectors of numbers can be used."
        )
    return array


def _space(distance: str, path: Path) -> Space | None:
    if distance and distance.lower() not in SPACE_OF:
        raise DataError(
            f"{path} compares by the distance {distance!r}, which is none of dense vectors. Choose a data "
            f"set with one of: {', '.join(SPACE_OF)}."
        )
    return SPACE_OF.get(distance.lower())


def _n_neighbours(file: Any, n_queries: int, path: Path) -> int:
    shape = getattr(file.get("neighbors"), "shape", (n_queries, 0))
    if len(shape) != 2 or shape[0] != n_queries:
        raise DataError(
            f"In {path} neighbors has the shape {shape} for {n_queries} queries. Get it anew."
        )
    return int(shape[1])
