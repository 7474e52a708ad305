"""The safetensors format: named arrays behind a JSON header, mapped from disk; nothing in it can run.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LENGTH: Final = struct.Struct("<Q")
MAX_HEADER_BYTES: Final = 100_000_000
"""The format's own limit."""
_METADATA: Final = "__metadata__"
_TYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "|b1",
}


class Tensors(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by name, mapped from disk and read-only; numbers of the type BF16 come as float32.
        metadata: texts by name.
    """

    arrays: dict[str, Any]
    metadata: dict[str, str]


def read_tensors(path: Path) -> Tensors:
    """Return the arrays and texts in a file.

    Raises:
        DataError: if it is no such file, is cut off, or has numbers of a type that NumPy does not know.
    """
    try:
        with path.open("rb") as file:
            header, begin = _header(file)
        metadata = {str(name): str(text) for name, text in header.pop(_METADATA, {}).items()}
        n_bytes = path.stat().st_size - begin
        arrays = {name: _array(path, name, told, begin, n_bytes) for name, told in header.items()}
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        said = str(error) or type(error).__name__
        raise DataError(f"{path} is no whole safetensors file ({said}). Write it again.") from error
    return Tensors(arrays, metadata)


def header_bytes(
    shapes: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:
    """Return what a file begins with, before the bytes of its arrays in the same order.

    Args:
        shapes: the type, as the format calls it, and the shape of each array by name.
        metadata: texts by name.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    begin = 0
    for name, (kind, shape) in shapes.items():
        end = begin + math.prod(shape) * np.dtype(_TYPES[kind]).itemsize
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    content = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)  # so that numbers begin where memory likes them to
    return _LENGTH.pack(len(content)) + content


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header, and where the arrays begin."""
    (length,) = _LENGTH.unpack(_whole(file, _LENGTH.size))
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is said to have {length} bytes")
    header = json.loads(_whole(file, length))
    if not isinstance(header, dict):
        raise TypeError("its header is no table")
    return header, _LENGTH.size + length


def _whole(file: BinaryIO, n_bytes: int) -> bytes:
    content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise ValueError("it is cut off")
    return content


def _array(path: Path, name: str, told: Mapping[str, Any], begin: int, n_bytes: int) -> Any:
    kind, shape, (start, stop) = told["dtype"], tuple(told["shape"]), told["data_offsets"]
    if kind not in _TYPES:
        raise ValueError(f"{name!r} has numbers of the type {kind}; save them as F32 or F16")
    dtype = np.dtype(_TYPES[kind])
    if min(shape, default=0) < 0 or stop - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} has another size than its header says")
    if not 0 <= start <= stop <= n_bytes:
        raise ValueError("it is cut off")
    if start == stop or not shape:
        with path.open("rb") as file:
            file.seek(begin + start)
            array: Any = np.frombuffer(file.read(stop - start), dtype).reshape(shape)
    else:
        array = np.memmap(path, dtype, "r", begin + start, shape)
    return (array.astype("<u4") << 16).view("<f4") if kind == "BF16" else array
