"""Tables of text as rows of named or numbered columns."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from cbir_bench.core.errors import DataError, did_you_mean
from cbir_bench.datasets.pictures import is_picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Header: TypeAlias = Literal["auto", "yes", "no"]

_DELIMITERS: Final = "\t;,| "
"""In the order in which they are believed: a space is often part of a name."""


class Row(NamedTuple):
    """A line of a table: its number from 1, and its cells without the space around them."""

    line: int
    cells: tuple[str, ...]

    def cell(self, place: int | None) -> str:
        """Return a cell that may be empty; so it is in a shorter row, and in a column that is None."""
        return self.cells[place] if place is not None and place < len(self.cells) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows, and the names of their columns where the table has a header.

    Attributes:
        name: as the suite file has it.
        columns: names; empty without a header.
        rows: at least one.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, wanted: str) -> int:
        """Return the place of a column that is given by name or by number from 1.

        Raises:
            DataError: if there is none; the message suggests the nearest name.
        """
        if wanted in self.columns:
            return self.columns.index(wanted)
        width = len(self.columns or self.rows[0].cells)
        if wanted.isdecimal() and 1 <= int(wanted) <= width:
            return int(wanted) - 1
        if not self.columns:
            raise DataError(
                f"The table {self.name!r} has no header and no column {wanted!r}. "
                f"Give a number from 1 to {width}."
            )
        raise DataError(
            f"The table {self.name!r} has no column {wanted!r}.{did_you_mean(wanted, self.columns)} "
            f"Columns: {', '.join(self.columns)}."
        )

    def first_known(self, names: Iterable[str]) -> str:
        """Return the first column whose name in lower case is one of ``names``, in their order; or ""."""
        lower = {column.lower(): column for column in reversed(self.columns)}
        return next((lower[name] for name in names if name in lower), "")

    def cell(self, row: Row, place: int) -> str:
        """Return a cell.

        Raises:
            DataError: if the row is too short or the cell is empty.
        """
        if place >= len(row.cells):
            raise DataError(
                f"Line {row.line} of the table {self.name!r} has {len(row.cells)} columns, but column "
                f"{place + 1} is needed. Complete the line, or name the delimiter."
            )
        if not row.cells[place]:
            raise DataError(
                f"Line {row.line} of the table {self.name!r} has nothing in column {place + 1}. Fill it in."
            )
        return row.cells[place]


def read_table(data: bytes, name: str, *, delimiter: str, header: Header) -> Table:
    """Return a table.

    Args:
        data: UTF-8 text, with or without a byte order mark.
        name: as the suite file has it, for messages.
        delimiter: one character; empty to find it in the first line.
        header: whether the first line names the columns; "auto" says no if it holds the name of a picture.

    Raises:
        DataError: if it is no such text or has no row.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"The table {name!r} is no UTF-8 text ({error.reason}). Save it as UTF-8."
        ) from error
    first = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=delimiter or _delimiter(first), skipinitialspace=True)
    try:
        rows = [
            Row(reader.line_num, tuple(c.strip() for c in cells)) for cells in reader if any(cells)
        ]
    except csv.Error as error:
        raise DataError(
            f"Line {reader.line_num} of the table {name!r} cannot be read: {error}. Correct it."
        ) from error
    columns: Sequence[str] = ()
    if rows and (header == "yes" or (header == "auto" and not any(map(is_picture, rows[0].cells)))):
        columns = rows.pop(0).cells
    if not rows:
        raise DataError(f"The table {name!r} has no row. Give it one for each image.")
    return Table(name=name, columns=tuple(columns), rows=tuple(rows))


def _delimiter(line: str) -> str:
    return next((mark for mark in _DELIMITERS if mark in line), ",")
