"""NumPy's own files, never with Python objects in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAGIC: Final = b"\x93NUMPY"


def read_npy(path: Path) -> Any:
    """Return the array in a file, mapped from disk.

    Raises:
        DataError: if it is no such file, is damaged, or holds Python objects.
    """
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        raise DataError(f"{path} is no NumPy file. Write it with numpy.save().")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a broken header makes its decoder raise nearly anything
        raise DataError(f"{path} {_why(error)}") from error


def read_npz(path: Path) -> dict[str, Any]:
    """Return the arrays in an archive by name.

    Raises:
        DataError: if it is no such archive, is damaged, or holds Python objects.
    """
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


def chosen(arrays: Mapping[str, Any], key: str, text: str) -> Any:
    """Return the array of that key.

    Raises:
        DataError: if there is none; the message suggests the nearest.
    """
    if key not in arrays:
        raise DataError(
            f"{text}: there is no array {key!r}.{did_you_mean(key, arrays)} "
            f"Arrays: {', '.join(arrays) or 'none'}."
        )
    return arrays[key]


def only_matrix(arrays: Mapping[str, Any], text: str) -> Any:
    """Return the only matrix, or else the only array of several dimensions, or the only array.

    Raises:
        DataError: if several could be meant, or there is none.
    """
    several = [name for name, array in arrays.items() if array.ndim > 1]
    matrices = [name for name in several if arrays[name].ndim == 2] or several or list(arrays)
    if len(matrices) != 1:
        raise DataError(
            f"{text} has {len(matrices)} arrays that could be vectors: {', '.join(matrices) or 'none'}. "
            f"Name one: {text}:{matrices[0] if matrices else 'KEY'}."
        )
    return arrays[matrices[0]]


def _why(error: Exception) -> str:
    """Return the rest of a sentence about a file that NumPy refuses, and what to do."""
    if any(word in str(error) for word in ("allow_pickle", "pickled", "Python objects")):
        return (
            "holds Python objects, which could run any program when they are read. Save arrays of numbers "
            "or of fixed-width text instead (array.astype(str))."
        )
    return f"is cut off or damaged ({error}). Write it again."
