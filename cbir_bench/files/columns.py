"""Columns of a file by their names, and what their cells mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

ID: Final = "id"
LABEL: Final = "label"
CAMERA: Final = "camera"
GROUP: Final = "group"
NO_VECTORS: Final = (ID, LABEL, CAMERA, GROUP)
"""What is never a dimension of a vector."""
NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_NOTHING: Final = ("NoneType", "NAType", "NaTType")


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
            DataError: if a row has none or one that is no text, or two rows have the same.
        """
        if ID not in self.columns:
            return None
        column = self.columns[ID]
        if np.ndim(column) > 1 and not isinstance(column, list):
            raise DataError(
                f"{self.file} has ids of shape {np.shape(column)}. Give each item one: ({len(column)},)."
            )
        missing = [row for row, one in enumerate(column) if is_nothing(one)]
        if missing:
            raise DataError(
                f"{self.file} has no id in {len(missing)} of {len(column)} rows, the first is row "
                f"{missing[0]}. Give each item its own."
            )
        names = tuple(map(text_of, column))
        if len(set(names)) < len(names):
            seen: set[str] = set()
            twice = next(i for i in names if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(f"{self.file} has the id {twice!r} twice. Give each item its own.")
        return names


def text_of(cell: Any) -> str:
    """Return a cell as text.

    Raises:
        DataError: if it holds bytes that are no UTF-8.
    """
    if not isinstance(cell, bytes):
        return str(cell)
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{cell!r} is no text in UTF-8. Write names as text.") from error


def as_numbers(column: Any) -> Any:
    """Return cells of text as numbers where all of them are and one has a fraction; else as they are.

    So 007 stays a name, but 1.5 is found to be no whole number, and "nan" among numbers is found missing.
    """
    if isinstance(column, list) or np.asarray(column).dtype.kind not in "OUT":
        return column
    cells = list(map(str, column))
    if any("." in cell or "n" in cell.lower() for cell in cells) and all(
        map(NUMBER.fullmatch, cells)
    ):
        return np.array(cells, np.float64)
    return column


def is_nothing(value: Any) -> bool:
    """Return whether a cell is empty: None, NaN, or a blank name."""
    if type(value).__name__ in _NOTHING:
        return True
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return isinstance(value, str | bytes) and not value.strip()
