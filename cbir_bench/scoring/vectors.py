"""Vectors as anyone has them: NumPy arrays, torch tensors on any device, nested lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Matrix, Space

_NUMBERS: Final = "fiub"
_ROWS_AT_ONCE: Final = 1 << 14


def as_array(values: Any, what: str) -> Any:
    """Return a NumPy array; without a copy where ``values`` lie in main memory.

    Args:
        values: an array, a tensor (told by its ``detach``, so that torch is not loaded for it), a column of
            a data frame, or nested lists.
        what: what they are, for the message.

    Raises:
        InvalidArrayError: if lists are of different length.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):  # NumPy has no such type; float32 holds all its values
            values = values.float()
        return values.numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidArrayError(
            f"The {what} are no array: {error}. Give each item as many numbers."
        ) from error


def as_vectors(values: Any, what: str, space: Space) -> Matrix:
    """Return ``(n, dim)`` float32 vectors, C-contiguous; in the space "cosine" scaled to length 1.

    Args:
        values: whatever ``as_array`` reads; never changed.
        what: what the rows are, for messages.
        space: where they are compared.

    Raises:
        InvalidArrayError: if it is no matrix of numbers, is empty, or has rows with NaN, infinity, numbers
            beyond float32, or in the space "cosine" without a direction.
    """
    array = as_array(values, what)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in _NUMBERS:
        raise InvalidArrayError(
            f"The {what} have shape {array.shape} and type {array.dtype}. "
            "Give a matrix of numbers, one row for each item."
        )
    matrix = _prepared(array, space)
    _refuse_rows(~np.isfinite(_squares(matrix)), what, "hold NaN, infinity or numbers too large")
    return matrix if space != "cosine" else _scaled(matrix, what)


def _prepared(array: Any, space: Space) -> Matrix:
    """Return float32 rows; a copy where they are going to be scaled."""
    with np.errstate(over="ignore"):  # what overflows is found as infinity
        if space == "cosine":
            return np.array(array, np.float32, order="C")
        return np.ascontiguousarray(array, np.float32)


def _scaled(matrix: Matrix, what: str) -> Matrix:
    """Scale rows to length 1 in place, a part at a time: a copy in float64 would take most memory."""
    _refuse_rows(_squares(matrix) == 0, what, "are all zero and have no direction to compare")
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        matrix[part] = unit_rows(matrix[part])
    return matrix


def _squares(matrix: Matrix) -> Any:
    return np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)


def _refuse_rows(bad: Any, what: str, why: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise InvalidArrayError(
            f"{len(rows)} of {len(bad)} rows of the {what} {why}, the first is row {rows[0]}. "
            "Look at what made them, or leave them out."
        )
