"""Results as the plots of ann-benchmarks read them: every file below a folder, one point each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

ABSOLUTE_TOLERANCE = 1e-3


class Drawn(NamedTuple):
    """What a plot shows of a file."""

    recall: float
    queries_per_second: float
    p50_ms: float
    build: float
    candidates: float
    index_kb: float
    properties: dict


def points(results: Path, dataset: str, count: int) -> dict[str, list[Drawn]]:
    """Return the points of a data set by algorithm.

    Files are opened for writing, since the plots keep what they compute in them.
    """
    with h5py.File(results / "data" / f"{dataset}.hdf5", "r") as file:
        true_distances = np.array(file["distances"])
        assert file.attrs["dimension"] == len(file["train"][0])
    found: dict[str, list[Drawn]] = {}
    for path in sorted((results / dataset / str(count)).rglob("*.hdf5")):
        with h5py.File(path, "r+") as run:
            properties = dict(run.attrs)
            if properties["batch_mode"]:
                continue
            assert properties["dataset"] == dataset
            found.setdefault(properties["algo"], []).append(_drawn(run, properties, true_distances))
    return found


def _drawn(run, properties: dict, true_distances) -> Drawn:
    distances, times = np.array(run["distances"]), np.array(run["times"])
    assert len(run["neighbors"]) == len(distances) == len(true_distances)
    count = int(properties["count"])
    hits = 0
    for row, true in zip(distances, true_distances, strict=True):
        limit = true[count - 1] + ABSOLUTE_TOLERANCE
        hits += sum(1 for one in row[:count] if one <= limit)
    return Drawn(
        recall=hits / (len(distances) * count),
        queries_per_second=1.0 / properties["best_search_time"],
        p50_ms=float(np.percentile(times, 50.0)) * 1000.0,
        build=properties["build_time"],
        candidates=properties["candidates"],
        index_kb=properties.get("index_size", 0),
        properties=properties,
    )
