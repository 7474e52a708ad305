"""Results and data sets as ann-benchmarks keeps them, so that its plots draw ours.

The layout is that of its ``results.py`` and ``datasets.py``: an HDF5 file for each point, in
``DATASET/COUNT/ALGORITHM/``, and one for the data set.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import MissingPackageError, RecordError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space

DISTANCE_OF: Final[dict[Space, str]] = {"cosine": "angular", "l2": "euclidean", "ip": "dot"}
DATA: Final = "data"
"""Folder of the data sets, as in ann-benchmarks' own checkout."""
_LONGEST_NAME: Final = 160
_PAIRS_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Point:
    """One operating point, in ann-benchmarks' terms.

    Attributes:
        dataset: name of the data set.
        algorithm: points of one algorithm are one line of a plot.
        build, query: options that need a build, and those that do not; they name the file.
        trial_id: of the record, which makes the name unique.
        space: the similarity.
        ids: ``(n_queries, count)`` results, best first; ``NO_ITEM`` where fewer were found.
        distances: ``(n_queries, count)`` of them, infinite where there is none.
        seconds: ``(n,)`` of single queries.
        mean_seconds: of single queries; queries per second are its inverse.
        build_seconds: of the build, base-side work of a re-ranker included.
        index_bytes: of the saved index.
        n_runs: passes over the queries.
        asked: results that the index was asked for, which may be more than are kept.
    """

    dataset: str
    algorithm: str
    build: Mapping[str, Any]
    query: Mapping[str, Any]
    trial_id: str
    space: Space
    ids: Ids
    distances: NDArray[np.float64]
    seconds: NDArray[np.float64]
    mean_seconds: float
    build_seconds: float
    index_bytes: int
    n_runs: int
    asked: int

    @property
    def name(self) -> str:
        """The point as plots call it."""
        options = ", ".join(f"{k}={v}" for k, v in {**self.build, **self.query}.items())
        return f"{self.algorithm}({options})"

    def attributes(self) -> dict[str, Any]:
        """Return what ann-benchmarks keeps beside the arrays, and the record's id."""
        return {
            "algo": self.algorithm,
            "batch_mode": False,
            "best_search_time": self.mean_seconds,
            "build_time": self.build_seconds,
            "candidates": float((self.ids != NO_ITEM).sum(axis=1).mean()),
            "count": self.ids.shape[1],
            "dataset": self.dataset,
            "distance": DISTANCE_OF[self.space],
            "expect_extra": False,
            "index_size": self.index_bytes / 1024,
            "name": self.name,
            "run_count": self.n_runs,
            "cbir_bench_trial": self.trial_id,
            "cbir_bench_k": self.asked,
        }


def distances_of(queries: Matrix, base: Matrix, ids: Ids, space: Space) -> NDArray[np.float64]:
    """Return ``(n_queries, count)`` distances in float64, as ann-benchmarks defines them.

    cosine: 1 - the cosine ("angular"); l2: the length of the difference ("euclidean"); ip: minus the
    inner product ("dot"). Infinite where there is no item.

    Args:
        queries: ``(n_queries, dim)``; in the space cosine with rows of length 1.
        base: ``(n_base, dim)``, likewise.
        ids: ``(n_queries, count)`` rows of the base, or ``NO_ITEM``.
        space: the similarity.
    """
    found = np.full(ids.shape, np.inf)
    rows, places = np.nonzero(ids != NO_ITEM)
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        one, column = rows[part], places[part]
        q, b = queries[one].astype(np.float64), base[ids[one, column]].astype(np.float64)
        if space == "l2":
            found[one, column] = np.linalg.norm(q - b, axis=1)
        else:
            products = np.einsum("ij,ij->i", q, b)
            found[one, column] = 1 - products if space == "cosine" else -products
    return found


def write_point(folder: Path, point: Point) -> Path:
    """Write an operating point and return its file.

    Raises:
        MissingPackageError: if h5py is not installed.
        RecordError: if the folder cannot be written.
    """
    count = str(point.ids.shape[1])
    path = folder / slug(point.dataset) / count / slug(point.algorithm) / f"{_stem(point)}.hdf5"
    arrays = {
        "times": point.seconds.astype(np.float32),
        "neighbors": point.ids.astype(np.int32),
        "distances": point.distances.astype(np.float32),
    }
    _write(path, point.attributes(), arrays)
    return path


def write_dataset(
    folder: Path,
    name: str,
    space: Space,
    *,
    base: Matrix,
    queries: Matrix,
    neighbours: Ids,
    distances: NDArray[np.float64],
) -> Path:
    """Write the data set that points belong to and return its file.

    Args:
        folder: the folder of points; the file lands in its folder ``data``.
        name: of the data set.
        space: the similarity.
        base: ``(n_base, dim)``, which becomes ``train``.
        queries: ``(n_queries, dim)``, which become ``test``.
        neighbours: ``(n_queries, k)`` the exact ones, nearest first.
        distances: of them.

    Raises:
        MissingPackageError: if h5py is not installed.
        RecordError: if the folder cannot be written.
    """
    path = folder / DATA / f"{slug(name)}.hdf5"
    attributes = {
        "type": "dense",
        "distance": DISTANCE_OF[space],
        "dimension": base.shape[1],
        "point_type": "float",
    }
    arrays = {
        "train": base,
        "test": queries,
        "neighbors": neighbours.astype(np.int32),
        "distances": distances.astype(np.float32),
    }
    _write(path, attributes, arrays)
    return path


def slug(text: str) -> str:
    """Return a text as part of a path: letters, digits, dots, signs and underscores."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("._") or "unnamed"


def _stem(point: Point) -> str:
    """Return the options as ann-benchmarks writes them into a file's name, and the record's id."""
    parts = [json.dumps(dict(options), sort_keys=True) for options in (point.build, point.query)]
    words = re.sub(r"\W+", "_", " ".join(parts)).strip("_")[:_LONGEST_NAME]
    return f"{words}_{point.trial_id}".strip("_")


def _write(path: Path, attributes: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a file in full or not at all: HDF5 itself leaves a damaged one where its writer is killed."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingPackageError("Export for ann-benchmarks", "h5py") from error
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w") as file:
            file.attrs.update(attributes)
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        temporary.replace(path)
    except OSError as error:
        raise RecordError(
            f"{path} cannot be written: {first_line(error)}. Make room or give another folder with --out."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
