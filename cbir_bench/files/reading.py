"""Vectors and columns out of the files that people have: npy, npz, safetensors, Parquet and CSV."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.core.paths import expand_user
from cbir_bench.files.arrays import chosen, only_matrix, read_npy, read_npz
from cbir_bench.files.columns import CAMERA, GROUP, ID, LABEL, NO_VECTORS, Columns
from cbir_bench.files.tables import (
    PARQUET,
    TEXT,
    column_of_lists,
    dimensions,
    n_dimensions,
    read_table,
)
from cbir_bench.files.tensors import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL_STARTS: Final = "label_starts"
"""An array beside ``labels``: item ``i`` has ``labels[label_starts[i]:label_starts[i + 1]]``."""
BESIDE: Final = ".csv"
"""What the name of a table of ids and labels ends with, after the whole name of the .npy file."""
SAFETENSORS: Final = ".safetensors"
_KEYED: Final = (".npz", SAFETENSORS)
_PLURALS: Final = {"ids": ID, "labels": LABEL, "cameras": CAMERA, "groups": GROUP}


def read_vectors(text: str, not_dimensions: tuple[str, ...] = ()) -> tuple[Any, Columns]:
    """Return the matrix in a file, mapped from disk where that is possible, and the file's other columns.

    Args:
        text: a path; ``FILE.npz:KEY`` or ``FILE.safetensors:KEY`` for one array of several. Other arrays
            called id, label, camera or group, or their plurals, are columns; so are the texts ``ids``
            and ``labels`` in the metadata of a safetensors file, each a JSON list; and so is the table
            ``FILE.npy.csv`` beside ``FILE.npy``.
        not_dimensions: columns of a table that are labels, besides ``id``, ``label``, ``camera`` and
            ``group``.

    Raises:
        DataError: if there is no such file, or no matrix in it.
    """
    path, key = located(text)
    if ending(path) not in (*PARQUET, *TEXT):
        array, rest = _array(path, key, text, (*NO_VECTORS, *not_dimensions))
        if not array.ndim:
            raise DataError(
                f"{text} holds a single {array.dtype} and no matrix. Give a row each item."
            )
        if key:  # one of several: what does not fit it belongs to another
            rest = {name: column for name, column in rest.items() if len(column) == len(array)}
        _check_length(rest, len(array), text)
        return array, Columns(file=text, columns=rest)
    named = {*NO_VECTORS, *not_dimensions}
    columns = read_table(path, as_text=named)
    rest = {name: column for name, column in columns.items() if name in named}
    matrix = dimensions({n: c for n, c in columns.items() if n not in named}, text)
    return matrix, Columns(file=text, columns=rest)


def read_columns(text: str) -> Columns:
    """Return the columns of a file; an array alone is a column ``label``. Cells of text stay text.

    Args:
        text: a path; ``FILE.npz:KEY`` or ``FILE.safetensors:KEY`` for one array of several.

    Raises:
        DataError: if there is no such file, it is unreadable or holds nothing, or columns differ in length.
    """
    path, key = located(text)
    if ending(path) == ".npy":
        columns: Mapping[str, Any] = {LABEL: read_npy(path)}
    elif ending(path) in _KEYED:
        arrays = _arrays(path)
        if key or len(arrays) == 1:
            columns = {LABEL: chosen(arrays, key or next(iter(arrays)), text)}
        else:
            columns = arrays
    else:
        columns = read_table(path)
    lengths = {name: len(column) for name, column in columns.items() if n_dimensions(column)}
    if not lengths or 0 in lengths.values():
        raise DataError(f"{text} holds no rows. Give one for each item.")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise DataError(
            f"{text} has columns of different length: {shown}. Give one row for each item."
        )
    return Columns(file=text, columns={name: columns[name] for name in lengths})


def read_item_columns(text: str) -> Columns:
    """Return what a file says of items, but for their vectors: which may be absent.

    Args:
        text: as ``read_vectors`` takes it; the key is ignored. Cells of text stay text.

    Raises:
        DataError: if there is no such file, or it is unreadable.
    """
    path, _ = located(text)
    if ending(path) == ".npy":
        table = beside(path)
        if table is None:
            raise DataError(
                f"{text} holds vectors alone. Put ids and labels into {path.name}{BESIDE} beside it, or "
                "give a file that has them."
            )
        columns: Mapping[str, Any] = read_table(table)
    elif ending(path) in _KEYED:
        columns = {name: one for name, one in _arrays(path).items() if n_dimensions(one) == 1}
    else:
        lists = column_of_lists(path, NO_VECTORS) if ending(path) in PARQUET else ""
        columns = read_table(path, without=(lists,) if lists else ())
    return Columns(file=text, columns=columns)


def beside(path: Path) -> Path | None:
    """Return the table of ids and labels beside a .npy file, if there is one."""
    table = Path(f"{path}{BESIDE}")
    return table if table.is_file() else None


def read_ids(text: str, column: str = "") -> tuple[str, ...]:
    """Return the ids in a file: the lines of a .txt file, the column ``id``, or the only column.

    Args:
        text: a path.
        column: the column of a table, if it is another one.

    Raises:
        DataError: if there is no such file or column, an id is missing, or two are the same.
    """
    path = expand_user(text)
    if ending(path) == ".txt" and path.is_file():
        try:
            values: Any = _lines(path)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}. Save it as UTF-8.") from error
    else:
        found = read_columns(text)
        only = next(iter(found.columns)) if len(found.columns) == 1 else ID
        values = found.get(column or only)
    ids = Columns(file=text, columns={ID: values}).ids()
    return ids or ()


def _lines(path: Path) -> list[str]:
    """Return the lines of a text, which end with a line feed or the two characters of Windows.

    Any other character that Unicode calls a line's end may be part of a file's name.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [line.removesuffix("\r") for line in file.read().split("\n")]
    return lines if lines[-1] else lines[:-1]


def located(text: str) -> tuple[Path, str]:
    """Return the file and the key within it.

    Raises:
        DataError: if there is no such file, or its name does not say what it is.
    """
    path, key = expand_user(text), ""
    if not path.exists():
        name, key = without_key(text)
        path = expand_user(name)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"The file {str(path)!r} {found}. Give the path of a file.")
    known = (".npy", *_KEYED, *PARQUET, *TEXT)
    if ending(path) not in known:
        raise DataError(
            f"The name of {str(path)!r} does not say what it is. Give a file that ends in "
            f"{', '.join(known[:-1])} or {known[-1]}."
        )
    return path, key


def without_key(text: str) -> tuple[str, str]:
    """Return a path, and the key of an array that stands behind it; empty if there is none."""
    if not any(f"{one}:" in text for one in _KEYED):
        return text, ""
    name, _, key = text.rpartition(":")
    return name, key


def ending(path: Path) -> str:
    """Return what a file's name ends with, in lower case."""
    return path.suffix.lower()


def _array(path: Path, key: str, text: str, named: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Return the array that is meant, and the columns of these names that are beside it."""
    if ending(path) == ".npy":
        table = beside(path)
        return read_npy(path), {} if table is None else read_table(table)
    arrays = _arrays(path)
    named_otherwise = (*_PLURALS, *named)
    unnamed = {
        name: array
        for name, array in arrays.items()
        if isinstance(array, np.ndarray) and name not in named_otherwise
    }
    array = chosen(arrays, key, text) if key else only_matrix(unnamed, text)
    columns = {name: arrays[name] for name in named if name in arrays}
    return array, {name: column for name, column in columns.items() if n_dimensions(column)}


def _arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a file of several, with ids and labels under the names of columns, too."""
    if ending(path) == SAFETENSORS:
        arrays, metadata = read_tensors(path)
        arrays |= {
            name: _listed(metadata[name], name, path) for name in _PLURALS if name in metadata
        }
    else:
        arrays = read_npz(path)
    starts = arrays.pop(LABEL_STARTS, None)
    if starts is not None and "labels" in arrays:
        arrays["labels"] = _several(arrays["labels"], starts, path)
    arrays |= {name: _column(arrays[name]) for name in (*_PLURALS, *NO_VECTORS) if name in arrays}
    singular = {one: arrays[many] for many, one in _PLURALS.items() if many in arrays}
    return {**arrays, **{name: column for name, column in singular.items() if name not in arrays}}


def _several(labels: Any, starts: Any, path: Path) -> list[tuple[Any, ...]]:
    """Return the labels of each item."""
    whole = isinstance(labels, np.ndarray) and labels.ndim == starts.ndim == 1
    ends = starts.tolist() if whole and starts.size and starts.dtype.kind in "iu" else [-1]
    ascending = all(a <= b for a, b in pairwise(ends))
    if not ascending or (ends[0], ends[-1]) != (0, len(labels)):
        raise DataError(
            f"The array {LABEL_STARTS!r} of {path} does not say which of the labels each item has. Write "
            "whole numbers that begin with 0, never fall and end with the number of labels: item i has "
            f"labels[{LABEL_STARTS}[i]:{LABEL_STARTS}[i + 1]]."
        )
    flat = labels.tolist()
    return [tuple(flat[a:b]) for a, b in pairwise(ends)]


def _column(values: Any) -> Any:
    """Return a matrix of one column as that column."""
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    return values


def _listed(text: str, name: str, path: Path) -> Any:
    """Return a list that is kept as JSON in the metadata, as a column."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The metadata {name!r} of {path} is no JSON ({error}). Write a JSON list with one entry for "
            "each item."
        ) from error
    if not isinstance(values, list):
        raise DataError(
            f"The metadata {name!r} of {path} is no list. Write a JSON list with one entry for each item."
        )
    if any(isinstance(one, list) for one in values):
        return [tuple(one) if isinstance(one, list) else (one,) for one in values]
    column = np.empty(len(values), object)
    column[:] = values
    return column


def _check_length(columns: Mapping[str, Any], n_rows: int, text: str) -> None:
    """Refuse columns that have no row for each vector."""
    for name, column in columns.items():
        if len(column) != n_rows:
            raise DataError(
                f"{text} has {n_rows} vectors, but {len(column)} entries of {name!r}. "
                "Give one for each vector."
            )
