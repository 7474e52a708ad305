"""What the methods of nmslib have in common: Boytsov and Naidan, SISAP 2013."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix

FILE: Final = "nmslib.bin"
"""The saved index; nmslib puts the vectors beside it, into ``nmslib.bin.dat``."""
OBJECT_BYTES: Final = 16
"""What nmslib stores before each vector: id, label and length."""


@dataclass(kw_only=True, eq=False)
class NmslibHandle:
    """nmslib's index, and the threads of a batch, which it wants to be told with every call."""

    index: Any
    n_threads: int


def built(method: str, space: str, base: Matrix, options: dict[str, Any]) -> NmslibHandle:
    """Return an index of ``base`` by one of nmslib's methods, with its own names of options."""
    index = load("nmslib").init(method=method, space=space)
    index.addDataPointBatch(base)
    index.createIndex(options)
    return NmslibHandle(index=index, n_threads=1)


def configured(handle: NmslibHandle, n_threads: int, options: dict[str, Any]) -> None:
    """Set all search options of a method, and the threads of a batch."""
    handle.index.setQueryTimeParams(options)
    handle.n_threads = n_threads


def prepare(queries: Matrix) -> Sequence[Any]:
    """Return ``(dim,)`` rows."""
    return list(queries)


def single(handle: Any, k: int) -> Callable[[Any], Any]:
    """Return ``knnQuery``, called by position: keywords cost pybind11 0.4 us."""
    search = handle.index.knnQuery
    return lambda query: search(query, k)


def batch(handle: Any, k: int) -> Callable[[Matrix], Any]:
    """Return ``knnQueryBatch``."""
    return partial(handle.index.knnQueryBatch, k=k, num_threads=handle.n_threads)


def unpack(raw: Any, k: int) -> Ids:
    """Return the ids of one ``(ids, distances)`` or of a list of them."""
    answers = raw if isinstance(raw, list) else [raw]
    return padded([ids for ids, _ in answers], k)


def save(handle: Any, folder: Path) -> None:
    """Write the structure, and the vectors beside it, without which it cannot be searched."""
    handle.index.saveIndex(str(folder / FILE), save_data=True)


def loaded(method: str, space: str, folder: Path) -> NmslibHandle:
    """Return the index that ``save`` wrote."""
    index = load("nmslib").init(method=method, space=space)
    index.loadIndex(str(folder / FILE), load_data=True)
    return NmslibHandle(index=index, n_threads=1)
