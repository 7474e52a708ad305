"""Labels, cameras and groups as anyone has them: numbers, names, or several names for each item."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from cbir_bench.core.dataset import UNKNOWN, LabelSets
from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.files.columns import is_nothing
from cbir_bench.scoring.vectors import as_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Marks: TypeAlias = "NDArray[np.int64] | NDArray[np.str_] | list[tuple[str, ...]]"
"""Of every item: a whole number, a name, or several names."""

_SEVERAL: Final = (list, tuple, set, frozenset, np.ndarray)


def as_labels(values: Any, what: str) -> Marks:
    """Return the labels of items.

    Args:
        values: whole numbers of any type (1.0 is one, 1.5 is not), names, or a sequence of either for each
            item.
        what: what they are, for messages.

    Raises:
        InvalidArrayError: if a label is missing, no whole number, or beyond what its type tells apart.
    """
    items = _several(values)
    if items is not None:
        return [_names(one, row, what) for row, one in enumerate(items)]
    array = _column(values, what)
    if array.dtype.kind == "f":
        _refuse_missing(np.isnan(array), what)
        return _whole(array, what)
    return _plain(array, what)


def as_codes(columns: Sequence[Any], what: str) -> list[NDArray[np.int64]]:
    """Return a number from 0 for each camera, or group, the same in all columns; ``UNKNOWN`` for none.

    Args:
        columns: whole numbers, of which those below 0 stand for none, or names; NaN and "" stand for none.
        what: what they are, for messages.

    Raises:
        InvalidArrayError: if one is no whole number.
    """
    known, marks = [], []
    for column in columns:
        array = _column(column, what)
        there = ~_missing(array)
        if array.dtype.kind == "f":
            there &= array >= 0
            array = _whole(np.where(there, array, 0), what)
        elif array.dtype.kind in "iub":
            there &= array >= 0
            array = array.astype(np.int64)
        else:
            array = np.array([str(one) if ok else "" for one, ok in zip(array, there, strict=True)])
        known.append(there)
        marks.append(array)
    codes = _numbered(marks)[1]
    return [np.where(there, own, UNKNOWN) for there, own in zip(known, codes, strict=True)]


def label_sets(columns: Sequence[Marks]) -> list[LabelSets]:
    """Return the label sets of several columns, with the same codes: 3 and "3" are the same label."""
    if any(isinstance(column, list) for column in columns):
        sets = LabelSets.of([names for column in columns for names in _as_tuples(column)])
    else:
        names, codes = _numbered([column for column in columns if not isinstance(column, list)])
        together = np.concatenate(codes)
        sets = LabelSets(names=names, codes=together, starts=np.arange(len(together) + 1))
    stops = np.cumsum([0, *(len(column) for column in columns)])
    return [sets.take(np.arange(a, b)) for a, b in pairwise(stops)]


def _several(values: Any) -> list[Any] | None:
    """Return what each item has where any has a sequence; None for one label each."""
    if isinstance(values, list | tuple) or getattr(values, "dtype", None) == np.dtype(object):
        items = list(values)
        if any(isinstance(one, _SEVERAL) for one in items):
            return items
    return None


def _names(item: Any, row: int, what: str) -> tuple[str, ...]:
    """Return the labels of an item that has several, or one among others that have several."""
    column = as_labels(list(item) if isinstance(item, _SEVERAL) else [item], what)
    if isinstance(column, list) or not len(column):
        raise InvalidArrayError(
            f"Item {row} of the {what} has no label that is a name or a number: {item!r}. "
            "Give every item at least one."
        )
    return tuple(dict.fromkeys(str(one) for one in column))


def _column(values: Any, what: str) -> Any:
    """Return an array of one value for each item; a matrix of one column is as good."""
    if isinstance(values, list | tuple) and any(isinstance(one, str) for one in values):
        # NumPy would write NaN among names as the name "nan".
        array: Any = np.empty(len(values), object)
        array[:] = values
    else:
        array = as_array(values, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iubfUSOT":
        raise InvalidArrayError(
            f"The {what} have shape {array.shape} and type {array.dtype}. Give one for each item; several "
            "of an item go into a list of lists, or a column of a CSV or Parquet file."
        )
    return array


def _plain(array: Any, what: str) -> Marks:
    """Return whole numbers or names of an array that holds no fractions."""
    if array.dtype.kind in "iub":
        if array.dtype == np.uint64 and array.max(initial=0) >= 2**63:
            raise InvalidArrayError(f"The {what} reach beyond 2^63. Give smaller numbers or names.")
        return np.asarray(array, np.int64)
    _refuse_missing(_missing(array), what)
    if array.dtype.kind == "O" and all(
        isinstance(one, int | float | np.number) and not isinstance(one, bool) for one in array
    ):
        return as_labels(np.array(array.tolist()), what)
    return np.array([_name(one, row, what) for row, one in enumerate(array)], np.str_)


def _name(value: Any, row: int, what: str) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InvalidArrayError(
            f"The {what} hold {value!r} in row {row}, which is no text in UTF-8. Give whole numbers or names."
        ) from error


def _whole(array: Any, what: str) -> NDArray[np.int64]:
    """Return floats as whole numbers, if each is one and no other could have been rounded to it."""
    wrong = np.flatnonzero(~np.isfinite(array) | (array != np.rint(array)))
    if len(wrong):
        raise InvalidArrayError(
            f"The {what} hold {array[wrong[0]]} in row {wrong[0]}, which is no whole number. "
            "Give whole numbers or names."
        )
    limit = 2 ** (np.finfo(array.dtype).nmant + 1)
    if np.abs(array).max(initial=0) > limit:
        raise InvalidArrayError(
            f"The {what} are {array.dtype} and reach {np.abs(array).max():.0f}; beyond {limit} such "
            "numbers are rounded, so that different ones become equal. Give whole numbers (int64)."
        )
    return np.asarray(array, np.int64)


def _missing(array: Any) -> NDArray[np.bool_]:
    """Return ``(n,)`` True where there is nothing: None, NaN, or an empty name."""
    if array.dtype.kind in "iub":
        return np.zeros(len(array), bool)
    if array.dtype.kind == "f":
        return np.asarray(np.isnan(array), bool)
    return np.array([is_nothing(one) for one in array], bool)


def _refuse_missing(missing: NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        raise InvalidArrayError(
            f"{len(rows)} of {len(missing)} {what} are missing, the first is that of row {rows[0]}. "
            "Fill them in, or leave those items out."
        )


def _as_tuples(column: Marks) -> list[tuple[str, ...]]:
    return column if isinstance(column, list) else [(str(one),) for one in column]


def _numbered(columns: Sequence[Any]) -> tuple[tuple[str, ...], list[NDArray[np.int64]]]:
    """Return the names of all columns, and each column's codes."""
    together = np.concatenate(
        [c if all(x.dtype.kind == "i" for x in columns) else c.astype(np.str_) for c in columns]
    )
    names, codes = np.unique(together, return_inverse=True)
    stops = np.cumsum([len(column) for column in columns])[:-1]
    return tuple(map(str, names)), np.split(codes.reshape(-1).astype(np.int64), stops)
