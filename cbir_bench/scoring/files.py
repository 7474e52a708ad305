"""Arrays and columns out of the files that people have: npy, npz, Parquet and CSV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError, did_you_mean
from cbir_bench.core.paths import expand_user
from cbir_bench.scoring.labels import is_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ID: Final = "id"
LABEL: Final = "label"
CAMERA: Final = "camera"
GROUP: Final = "group"
_NO_VECTORS: Final = (ID, LABEL, CAMERA, GROUP)
_ROW_NUMBERS: Final = ("", "__index_level_0__")
"""What pandas calls the numbers of rows that it writes beside a table's own columns."""
_MAGIC: Final = b"\x93NUMPY"
_TEXT: Final = (".csv", ".tsv")
_PARQUET: Final = (".parquet", ".pq")
_DELIMITERS: Final = "\t;,"
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_FRACTION: Final = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """A file as columns of equal length by name.

    Attributes:
        file: what the user calls it.
        columns: arrays, or lists of sequences where a column holds several values for each row.
    """

    file: str
    columns: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """Return a column.

        Raises:
            DataError: if there is none of that name; the message suggests the nearest.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.file} has no column {name!r}.{did_you_mean(name, self.columns)} "
                f"Columns: {', '.join(map(str, self.columns))}."
            )
        return self.columns[name]

    def ids(self) -> tuple[str, ...] | None:
        """Return the column ``id`` as names, if there is one.

        Raises:
            DataError: if a row has none, or two rows have the same.
        """
        if ID not in self.columns:
            return None
        column = self.columns[ID]
        missing = [row for row, one in enumerate(column) if is_nothing(one)]
        if missing:
            raise DataError(
                f"{self.file} has no id in {len(missing)} of {len(column)} rows, the first is row "
                f"{missing[0]}. Give each item its own."
            )
        names = tuple(map(str, column))
        if len(set(names)) < len(names):
            seen: set[str] = set()
            twice = next(i for i in names if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(f"{self.file} has the id {twice!r} twice. Give each item its own.")
        return names


def read_vectors(text: str, not_dimensions: tuple[str, ...] = ()) -> tuple[Any, Columns]:
    """Return the matrix in a file, mapped from disk where that is possible, and the file's other columns.

    Args:
        text: a path; ``FILE.npz:KEY`` for one array of several.
        not_dimensions: columns of a table that are labels, besides ``id``, ``label``, ``camera`` and
            ``group``.

    Raises:
        DataError: if there is no such file, or no matrix in it.
    """
    path, key = _located(text)
    if _ending(path) in {".npy", ".npz"}:
        array = _npy(path) if _ending(path) == ".npy" else _matrix_of(_npz(path), key, text)
        if not array.ndim:
            raise DataError(
                f"{text} holds a single {array.dtype} and no matrix. Give a row each item."
            )
        return array, Columns(file=text, columns={})
    columns = _table(path, as_text=False)
    named = {**dict.fromkeys(_NO_VECTORS), **dict.fromkeys(not_dimensions)}
    rest = Columns(file=text, columns={n: c for n, c in columns.items() if n in named})
    return _dimensions({n: c for n, c in columns.items() if n not in named}, text), rest


def read_columns(text: str) -> Columns:
    """Return the columns of a file; an array alone is a column ``label``. Cells of text stay text.

    Args:
        text: a path; ``FILE.npz:KEY`` for one array of several.

    Raises:
        DataError: if there is no such file, it is unreadable or holds nothing, or columns differ in length.
    """
    path, key = _located(text)
    if _ending(path) == ".npy":
        columns: Mapping[str, Any] = {LABEL: _npy(path)}
    elif _ending(path) == ".npz":
        arrays = _npz(path)
        if key or len(arrays) == 1:
            columns = {LABEL: _chosen(arrays, key or next(iter(arrays)), text)}
        else:
            columns = arrays
    else:
        columns = _table(path, as_text=True)
    lengths = {name: len(column) for name, column in columns.items() if _ndim(column)}
    if not lengths or 0 in lengths.values():
        raise DataError(f"{text} holds no rows. Give one for each item.")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise DataError(
            f"{text} has columns of different length: {shown}. Give one row for each item."
        )
    return Columns(file=text, columns={name: columns[name] for name in lengths})


def _located(text: str) -> tuple[Path, str]:
    """Return the file and the key within it.

    Raises:
        DataError: if there is no such file, or its name does not say what it is.
    """
    path, key = expand_user(text), ""
    if ".npz:" in text and not path.exists():
        name, _, key = text.rpartition(":")
        path = expand_user(name)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"The file {str(path)!r} {found}. Give the path of a file.")
    known = (".npy", ".npz", *_PARQUET, *_TEXT)
    if _ending(path) not in known:
        raise DataError(
            f"The name of {str(path)!r} does not say what it is. Give a file that ends in "
            f"{', '.join(known[:-1])} or {known[-1]}."
        )
    return path, key


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _npy(path: Path) -> Any:
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        raise DataError(f"{path} is no NumPy file. Write it with numpy.save().")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a broken header makes its decoder raise nearly anything
        raise DataError(f"{path} {_why(error)}") from error


def _npz(path: Path) -> dict[str, Any]:
    try:
        # Opened here, because NumPy leaves a file open that turns out to be no archive.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            found = dict(arrays) if isinstance(arrays, np.lib.npyio.NpzFile) else None
    except Exception as error:  # so do broken, encrypted and unheard-of archives
        raise DataError(f"{path} {_why(error)}") from error
    if found is None:
        raise DataError(f"{path} is no NumPy archive. Write it with numpy.savez().")
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


def _why(error: Exception) -> str:
    """Return the rest of a sentence about a file that NumPy refuses, and what to do."""
    if any(word in str(error) for word in ("allow_pickle", "pickled", "Python objects")):
        return (
            "holds Python objects, which could run any program when they are read. Save arrays of numbers "
            "or of fixed-width text instead (array.astype(str))."
        )
    return f"is cut off or damaged ({error}). Write it again."


def _chosen(arrays: Mapping[str, Any], key: str, text: str) -> Any:
    if key not in arrays:
        raise DataError(
            f"{text}: there is no array {key!r}.{did_you_mean(key, arrays)} "
            f"Arrays: {', '.join(arrays) or 'none'}."
        )
    return arrays[key]


def _matrix_of(arrays: Mapping[str, Any], key: str, text: str) -> Any:
    """Return the array of that key, or the only one, or the only matrix."""
    if key:
        return _chosen(arrays, key, text)
    matrices = [name for name, array in arrays.items() if array.ndim == 2] or list(arrays)
    if len(matrices) != 1:
        raise DataError(
            f"{text} has {len(matrices)} arrays that could be vectors: {', '.join(matrices) or 'none'}. "
            f"Name one: {text}:{matrices[0] if matrices else 'KEY'}."
        )
    return arrays[matrices[0]]


def _table(path: Path, *, as_text: bool) -> dict[str, Any]:
    """Return the columns of a Parquet or CSV file; ``as_text`` keeps the cells of a CSV file as they are."""
    import pyarrow as pa

    try:
        if _ending(path) in _PARQUET:
            from pyarrow import parquet

            table = parquet.read_table(path)
        else:
            table = _csv(path, as_text=as_text)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {_first_line(error)}. Write it again.") from error
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns {twice!r}. Name each column once.")
    return {name: _unpacked(table[name], name, path) for name in names if name not in _ROW_NUMBERS}


def _csv(path: Path, *, as_text: bool) -> Any:
    """Return an Arrow table; a first line of numbers is no header, unless pandas may have written it."""
    import pyarrow as pa
    from pyarrow import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline().strip("\r\n")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
    cells = [cell.strip().strip('"') for cell in first.split(delimiter)]
    counted = cells == [str(i) for i in range(len(cells))]
    nameless = any(map(_FRACTION.fullmatch, cells)) or (
        all(map(_NUMBER.fullmatch, cells)) and not counted
    )
    names = [f"f{i}" for i in range(len(cells))] if nameless else cells  # as Arrow calls them
    types = dict.fromkeys(names, pa.string()) if as_text else {}
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(autogenerate_column_names=nameless),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )


def _unpacked(column: Any, name: str, path: Path) -> Any:
    """Return an Arrow column as an array, a list of sequences, or a matrix where it holds equal lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(
        column.type
    ):  # NumPy would take what is missing for the last category
        column = column.cast(column.type.value_type)
    kind = column.type
    if not (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        if column.null_count and pa.types.is_integer(kind):
            column = column.cast(pa.float64(), safe=False)
        return np.asarray(column.to_numpy())
    if not pa.types.is_floating(kind.value_type):
        return column.to_pylist()
    if column.null_count:
        raise DataError(
            f"The column {name!r} of {path} holds nothing in {column.null_count} of {len(column)} rows. "
            "Give each item as many numbers."
        )
    lengths = np.unique(pc.list_value_length(column).to_numpy())
    if len(lengths) != 1:
        raise DataError(
            f"The column {name!r} of {path} holds lists of {len(lengths)} different lengths. "
            "Give each item as many numbers."
        )
    values = [np.asarray(chunk.flatten()) for chunk in column.chunks]
    return np.concatenate(values).reshape(len(column), int(lengths[0]))


def _dimensions(columns: Mapping[str, Any], text: str) -> Any:
    """Return the one column of lists, or all columns of numbers, as a matrix.

    Raises:
        DataError: if columns are not alike, so that one of them is hardly a dimension.
    """
    if not columns:
        raise DataError(f"{text} has no column of vectors. Give a file that has.")
    matrices = [column for column in map(_equal_lists, columns.values()) if _ndim(column) == 2]
    if len(matrices) == 1:
        return matrices[0]
    kinds = {re.sub(r"\d+$", "", name) for name in columns}
    no_number = [
        n for n, c in columns.items() if _ndim(c) != 1 or np.asarray(c).dtype.kind not in "fiu"
    ]
    if len(kinds) != 1 or no_number:
        odd = no_number or sorted(kinds)
        raise DataError(
            f"{text} has columns that are not all dimensions of a vector: {', '.join(map(repr, odd[:5]))}. "
            "Put vectors into one column of lists or into columns that differ in a number only (d0, d1, "
            "...), and name labels with --label-column."
        )
    return np.stack([np.asarray(column) for column in columns.values()], axis=1)


def _equal_lists(column: Any) -> Any:
    """Return lists of as many whole numbers each as a matrix; other columns as they are."""
    if not isinstance(column, list) or len({len(one or ()) for one in column}) != 1:
        return column
    matrix = np.array(column)
    return matrix if matrix.ndim == 2 and matrix.dtype.kind in "iu" else column


def _ndim(column: Any) -> int:
    """Return 1 for a column of values, and of lists of any length; 2 for one of lists of equal length."""
    return 1 if isinstance(column, list) else int(column.ndim)


def as_numbers(column: Any) -> Any:
    """Return cells of text as numbers where all of them are and one has a fraction; else as they are.

    So 007 stays a name, but 1.5 is found to be no whole number, and "nan" among numbers is found missing.
    """
    if isinstance(column, list) or np.asarray(column).dtype.kind not in "OUT":
        return column
    cells = list(map(str, column))
    if any("." in cell or "n" in cell.lower() for cell in cells) and all(
        map(_NUMBER.fullmatch, cells)
    ):
        return np.array(cells, np.float64)
    return column


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
