"""Pickles of plain data, read without running anything that they name.

A pickle is a program for a small machine that may call any function of any package. This reader gives it
its own makers of NumPy arrays and numbers and of bytes, and nothing else to call.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any, Final, NoReturn

import numpy as np

from cbir_bench.core.errors import DataError

_PLAIN: Final = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[SU]\d+|O8?)")


def load_plain(data: bytes) -> Any:
    """Return the lists, dictionaries, text, numbers and NumPy arrays in a pickle of any protocol.

    Tuples and arrays of objects become lists.

    Raises:
        DataError: if it is torn or no pickle, or names anything else.
    """
    try:
        # Python 2 wrote text as bytes.
        return _unwrapped(_Unpickler(io.BytesIO(data), encoding="latin1").load(), {})
    except DataError:
        raise
    except Exception as error:  # broken bytes make the decoder raise nearly anything
        raise DataError(
            f"It cannot be unpickled ({type(error).__name__}: {error}). Get the file anew."
        ) from error


class _Unpickler(pickle.Unpickler):
    """Knows the names that plain data have, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what takes the place of a function or class of that name."""
        if (module, name) not in _STAND_INS:
            _refuse(f"{module}.{name}")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse: there is nothing outside of the file."""
        _refuse(f"an object called {pid!r} outside of it")


def _refuse(what: str) -> NoReturn:
    raise DataError(
        f"It is a pickle that names {what}, which plain data have no need of. Do not open it with "
        "anything else; get the file from its authors."
    )


class _Type:
    """Stands for ``numpy.dtype``; only types of plain numbers, text and lists can be made."""

    def __init__(self, text: Any, *_: Any) -> None:
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            _refuse(f"numpy.dtype({text!r})")
        self._text, self._order = text.lstrip("<>|="), "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            _refuse(f"the byte order {order!r}")
        self._order = order

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{self._order}{self._text}")


class _Array:
    """Stands for an array that ``numpy._core.multiarray._reconstruct`` has begun."""

    def __init__(self, *_: Any) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_column, content = state
        if isinstance(content, list):
            self.values = np.array([*content, None], object)[:-1].reshape(shape)
        else:
            self.values = _array(content, kind, shape, "F" if by_column else "C")


def _unwrapped(value: Any, done: dict[int, Any]) -> Any:
    """Return plain data with the arrays themselves in the place of what stood for them.

    Args:
        value: what was read.
        done: answers by identity: a list that is in a thousand places is one list.
    """
    if id(value) not in done:
        done[id(value)] = _rebuilt(value, done)
    return done[id(value)]


def _rebuilt(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, _Array):
        values = value.values
        return [_unwrapped(one, done) for one in values.flat] if values.dtype == object else values
    if isinstance(value, dict):
        return {key: _unwrapped(one, done) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_unwrapped(one, done) for one in value]
    return value


def _array(content: Any, kind: _Type, shape: Any, order: Any = "C") -> np.ndarray[Any, Any]:
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, kind.numpy).reshape(shape, order=order)


def _number(kind: _Type, content: Any) -> Any:
    return _array(content, kind, ()).item()


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        _refuse(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    ("__builtin__", "bytes"): _no_bytes,
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): None,  # named as an argument, never called
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _number),
            ("numeric", "_frombuffer", _array),
        )
    },
}
