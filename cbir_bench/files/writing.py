"""Vectors with ids and labels, written so that this package and others read them back."""

from __future__ import annotations

import csv
import json
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import numpy as np

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.files.columns import ID, LABEL
from cbir_bench.files.reading import BESIDE, LABEL_STARTS
from cbir_bench.files.tensors import MAX_HEADER_BYTES, header_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cbir_bench.core.arrays import Matrix

Labels: TypeAlias = "Sequence[str] | Sequence[Sequence[str]]"

_ROWS_AT_ONCE: Final = 1 << 14
_SEPARATOR: Final = "|"


def write_embeddings(path: Path, vectors: Matrix, ids: Sequence[str], labels: Labels) -> None:
    """Write vectors with the ids and labels of their items, all or nothing.

    The name says how:

    - ``.parquet``: columns ``id``, ``label`` (text, or lists of text) and ``vector`` (lists of one length),
    - ``.npz``: arrays ``vectors``, ``ids`` and ``labels``; where items have several labels these are all
      in a row, and those of item ``i`` are ``labels[label_starts[i]:label_starts[i + 1]]``,
    - ``.safetensors``: the tensor ``vectors``, and in the metadata ``ids`` and ``labels`` as JSON lists,
    - ``.npy``: the vectors alone, and beside them ``FILE.npy.csv`` with columns ``id`` and ``label``;
      several labels with ``|`` between them.

    Vectors that are mapped from disk stay there but for a few at a time.

    Args:
        path: an older file of that name is replaced.
        vectors: ``(n_items, dim)`` float32.
        ids: of each item, none twice.
        labels: of each item, one or several.

    Raises:
        SettingError: if the name ends otherwise, or the format cannot hold these ids and labels.
        DataError: if the disk is full or the folder cannot be written; an older file is then still there.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise SettingError(
            f"The name of {str(path)!r} does not say what to write. Give a file that ends in "
            f"{', '.join(_WRITERS)}."
        )
    try:
        write(path, vectors, ids, labels)
    except UnicodeEncodeError as error:
        raise SettingError(
            f"{error.object!r} is no text in UTF-8. Rename that file, or give other ids."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}. Make room or choose another place, and "
            "run the same command again."
        ) from error


def _write_parquet(path: Path, vectors: Matrix, ids: Sequence[str], labels: Labels) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    label = pa.string() if _single(labels) else pa.list_(pa.string())
    schema = pa.schema(
        {ID: pa.string(), LABEL: label, "vector": pa.list_(pa.float32(), vectors.shape[1])}
    )
    with (
        _replaced(path) as (new,),
        new.open("wb") as file,
        parquet.ParquetWriter(file, schema, use_dictionary=[LABEL]) as writer,
    ):
        for rows in _pieces(len(vectors)):
            flat = pa.array(np.ascontiguousarray(vectors[rows]).reshape(-1))
            lists = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            columns = [pa.array(ids[rows], pa.string()), pa.array(labels[rows], label), lists]
            writer.write_table(pa.table(columns, schema=schema))


def _write_npz(path: Path, vectors: Matrix, ids: Sequence[str], labels: Labels) -> None:
    arrays: dict[str, Any] = {"vectors": vectors, "ids": _texts(ids, path)}
    if _single(labels):
        arrays["labels"] = _texts(labels, path)
    else:
        arrays["labels"] = _texts([name for one in labels for name in one], path)
        arrays[LABEL_STARTS] = np.cumsum([0, *map(len, labels)], dtype=np.int64)
    with _replaced(path) as (new,), new.open("wb") as file:
        np.savez(file, **arrays)


def _write_safetensors(path: Path, vectors: Matrix, ids: Sequence[str], labels: Labels) -> None:
    metadata = {
        "ids": json.dumps(list(ids), ensure_ascii=False),
        "labels": json.dumps(list(labels), ensure_ascii=False),
    }
    header = header_bytes({"vectors": ("F32", vectors.shape)}, metadata)
    if len(header) > MAX_HEADER_BYTES:
        raise SettingError(
            f"The ids and labels of {len(ids)} items are more than a safetensors file can hold "
            f"({MAX_HEADER_BYTES // 1_000_000} MB). Write a .parquet file."
        )
    with _replaced(path) as (new,), new.open("wb") as file:
        file.write(header)
        _write_numbers(file, vectors)


def _write_npy(path: Path, vectors: Matrix, ids: Sequence[str], labels: Labels) -> None:
    cells = [one if isinstance(one, str) else _joined(one, path) for one in labels]
    _refuse_line_breaks([*ids, *cells], path)
    with _replaced(path, Path(f"{path}{BESIDE}")) as (new, table):
        with new.open("wb") as file:
            what = {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
            np.lib.format.write_array_header_1_0(file, what)
            _write_numbers(file, vectors)
        with table.open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow([ID, LABEL])
            writer.writerows(zip(ids, cells, strict=True))


_WRITERS: Final[Mapping[str, Callable[[Path, Matrix, Sequence[str], Labels], None]]] = {
    ".parquet": _write_parquet,
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
    ".npy": _write_npy,
}


def _single(labels: Labels) -> bool:
    return all(isinstance(one, str) for one in labels)


def _texts(values: Sequence[Any], path: Path) -> Any:
    """Return an array of text of fixed width, which can be loaded without running anything."""
    array = np.array(values, np.str_)
    if array.tolist() != list(values):  # such text drops what is 0 at its end
        raise SettingError(
            f"An id or a label ends with the character 0, which {path.name!r} cannot hold. "
            "Write a .parquet file."
        )
    return array


def _joined(labels: Sequence[str], path: Path) -> str:
    odd = next((name for name in labels if _SEPARATOR in name), None)
    if odd is not None:
        raise SettingError(
            f"The label {odd!r} holds the {_SEPARATOR!r} that stands between labels beside {path.name!r}. "
            "Write a .parquet file."
        )
    return _SEPARATOR.join(labels)


def _refuse_line_breaks(texts: Sequence[str], path: Path) -> None:
    odd = next((text for text in texts if "\n" in text or "\r" in text), None)
    if odd is not None:
        raise SettingError(
            f"{odd!r} holds a line break, which the table beside {path.name!r} cannot. Write a .parquet file."
        )


def _write_numbers(file: BinaryIO, vectors: Matrix) -> None:
    file.writelines(
        np.ascontiguousarray(vectors[rows], "<f4").data for rows in _pieces(len(vectors))
    )


def _pieces(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)


@contextmanager
def _replaced(*paths: Path) -> Iterator[list[Path]]:
    """Give temporary files to write; when the block ends, they are on disk under their final names.

    Of several files the first one is the last to appear, and an older one is gone before any of the others
    changes: what is found under its name belongs to what is found beside it.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    new = [path.with_name(f".{path.name}.{mark}.tmp") for path in paths]
    try:
        yield new
        for path in new:
            _sync(path)
        if len(paths) > 1:
            paths[0].unlink(missing_ok=True)
        for written, path in reversed(list(zip(new, paths, strict=True))):
            written.replace(path)
        _sync(paths[0].parent)
    finally:
        for path in new:
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
