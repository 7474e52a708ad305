"""Parquet files and tables of text as columns of NumPy arrays."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError, first_line
from cbir_bench.files.columns import NUMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

TEXT: Final = (".csv", ".tsv")
PARQUET: Final = (".parquet", ".pq")
_ROW_NUMBERS: Final = ("", "__index_level_0__")
"""What pandas calls the numbers of rows that it writes beside a table's own columns."""
_DELIMITERS: Final = "\t;,"
_FRACTION: Final = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+")


def read_table(
    path: Path, *, as_text: Collection[str] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the columns of a Parquet or CSV file.

    Args:
        path: of the file.
        as_text: columns of a CSV file whose cells stay as they are; by default all.
        without: columns of a Parquet file that are not read.

    Raises:
        DataError: if it is no such file, is damaged, or has two columns of one name.
    """
    from pyarrow import parquet

    with reading(path):
        if path.suffix.lower() in PARQUET:
            wanted = None
            if without:
                wanted = [one for one in parquet.read_schema(path).names if one not in without]
            table = parquet.read_table(path, columns=wanted)
        else:
            table = _csv(path, as_text)
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns {twice!r}. Name each column once.")
    return {name: _unpacked(table[name], name, path) for name in names if name not in _ROW_NUMBERS}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make Arrow's refusal of a file one sentence.

    Raises:
        DataError: in place of Arrow's errors.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}. Write it again.") from error


def _csv(path: Path, as_text: Collection[str] | None) -> Any:
    """Return an Arrow table; a first line of numbers is no header, unless pandas may have written it."""
    import pyarrow as pa
    from pyarrow import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline().strip("\r\n")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
    cells = [cell.strip().strip('"') for cell in first.split(delimiter)]
    counted = cells == [str(i) for i in range(len(cells))]
    nameless = any(map(_FRACTION.fullmatch, cells)) or (
        all(map(NUMBER.fullmatch, cells)) and not counted
    )
    names = [f"f{i}" for i in range(len(cells))] if nameless else cells  # as Arrow calls them
    text = names if as_text is None else [name for name in names if name in as_text]
    types = dict.fromkeys(text, pa.string())
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(autogenerate_column_names=nameless),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )


def _unpacked(column: Any, name: str, path: Path) -> Any:
    """Return an Arrow column as an array, a list of sequences, or a matrix where it holds equal lists."""
    import pyarrow as pa

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
    return matrix_of_lists(column, name, path)


def matrix_of_lists(column: Any, name: str, path: Path) -> Any:
    """Return an Arrow column of lists of numbers as a matrix.

    Raises:
        DataError: if a row has none, or rows have lists of different length.
    """
    import pyarrow.compute as pc

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


def dimensions(columns: Mapping[str, Any], text: str) -> Any:
    """Return the one column of lists, or all columns of numbers, as a matrix.

    Raises:
        DataError: if columns are not alike, so that one of them is hardly a dimension.
    """
    if not columns:
        raise DataError(f"{text} has no column of vectors. Give a file that has.")
    matrices = [
        column for column in map(_equal_lists, columns.values()) if n_dimensions(column) == 2
    ]
    if len(matrices) == 1:
        return matrices[0]
    kinds = {re.sub(r"\d+$", "", name) for name in columns}
    no_number = [
        n
        for n, c in columns.items()
        if n_dimensions(c) != 1 or np.asarray(c).dtype.kind not in "fiu"
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


def n_dimensions(column: Any) -> int:
    """Return 1 for a column of values, and of lists of any length; 2 for one of lists of equal length."""
    return 1 if isinstance(column, list) else int(column.ndim)


def column_of_lists(path: Path, others: Collection[str]) -> str:
    """Return the only column of a Parquet file that holds lists of numbers; empty if there is none."""
    from pyarrow import parquet

    with reading(path):
        schema = parquet.read_schema(path)
    found = [
        str(field.name)
        for field in schema
        if field.name not in others and _is_list_of_numbers(field.type)
    ]
    return found[0] if len(found) == 1 else ""


def _is_list_of_numbers(kind: Any) -> bool:
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or types.is_integer(kind.value_type))
