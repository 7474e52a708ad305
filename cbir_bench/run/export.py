"""A run's results for other programs: what ann-benchmarks' plots read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import DataError, RecordError
from cbir_bench.core.registry import INDEXES
from cbir_bench.embeddings.store import EmbeddingStore
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.records.ann_benchmarks import (
    DATA,
    DISTANCE_OF,
    Point,
    distances_of,
    slug,
    write_dataset,
    write_point,
)
from cbir_bench.records.plan import read_plan
from cbir_bench.records.store import RecordStore
from cbir_bench.run.passes import quietest
from cbir_bench.run.places import Places
from cbir_bench.run.plan import make_plan
from cbir_bench.run.suite import read_suite

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.core.record import Record
    from cbir_bench.run.plan import Build

_NEIGHBOURS: Final = 100
"""Exact neighbours that ann-benchmarks keeps of each query."""
_TOP_IDS: Final = "top_ids"
_LATENCY: Final = "latency_ns"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Searched:
    """What some builds search: a data set in ann-benchmarks' sense."""

    name: str
    space: Space
    base: Matrix
    queries: Matrix
    build: Build


def export_ann_benchmarks(run: Path, out: Path, data: tuple[Path, ...], cache: Path | None) -> str:
    """Write a run's operating points and data sets into a folder, and return what was done.

    The ids of a record tell no distances, so the data is opened and its frozen vectors are read again.

    Args:
        run: folder of a run.
        out: folder to write into; made if it is not there.
        data: folders in which the suite finds its data.
        cache: where frozen vectors are kept.

    Raises:
        CbirBenchError: if the run is none, its data or vectors are not there any more, or nothing in
            it was measured.
    """
    read_plan(run)
    suite = run / "suite.toml"
    places = Places.of(suite, data, cache)
    embeddings = EmbeddingStore(places.embeddings)
    records = _Records(RecordStore(run))
    known: dict[tuple[Any, ...], _Searched] = {}
    for build in make_plan(read_suite(suite), places).builds:
        found = records.of(build)
        key = _key(build)
        if found and key not in known:
            known[key] = _searched(build, embeddings, {one.name for one in known.values()})
            _write_data(out, known[key])
        for record in found:
            write_point(out, _point(record, known[key]))
    return records.summary(out, len(known))


class _Records:
    """The records of a run that can be exported, and why others cannot."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._there = set(store.ids())
        self._n_written = 0
        self._left_out: Counter[str] = Counter()
        self._n_deeper = 0

    def of(self, build: Build) -> list[Record]:
        """Return the measured records of a build."""
        found = []
        for trial in build.trials:
            reason, record = self._read(trial.id)
            if record is None:
                self._left_out[reason] += 1
                continue
            self._n_written += 1
            self._n_deeper += trial.k > record.arrays[_TOP_IDS].shape[1]
            found.append(record)
        return found

    def summary(self, out: Path, n_datasets: int) -> str:
        """Return what was written, what was left out and why.

        Raises:
            RecordError: if nothing was written.
        """
        left_out = [f"{n} left out: {reason}." for reason, n in self._left_out.items()]
        if not self._n_written:
            raise RecordError(
                f"Nothing in this run can be exported ({' '.join(left_out) or 'it has no trials'}). Run "
                "the suite first, with the same data."
            )
        many = "1 data set" if n_datasets == 1 else f"{n_datasets} data sets"
        lines = [
            f"{self._n_written} points of {many} written to {out}; the data is in {out / DATA}.",
            *left_out,
        ]
        if self._n_deeper:
            lines.append(
                f"{self._n_deeper} points were searched deeper than records keep results: the first results "
                "are exported, with the times of the deeper search."
            )
        return "\n".join(lines)

    def _read(self, trial_id: str) -> tuple[str, Record | None]:
        if trial_id not in self._there:
            return "not measured, or with other data", None
        record = self._store.read(trial_id, arrays=True)
        if record.status != "ok":
            return f"{record.status}, so there are no results", None
        if _TOP_IDS not in record.arrays or record.latency is None:
            return "the record keeps no results or no times", None
        return "", record


def _key(build: Build) -> tuple[Any, ...]:
    first = build.trials[0]
    return first.dataset, first.embeddings_key, first.protocol, first.space


def _searched(build: Build, store: EmbeddingStore, taken: set[str]) -> _Searched:
    first, truth = build.trials[0], build.truth
    images = _vectors(store, first.embeddings_key)
    asked = images
    if truth.query_texts:
        asked = _vectors(store, build.artefact.texts_key(truth.query_texts))
    if first.space == "cosine":
        images, asked = unit_rows(images), unit_rows(asked)
    base = images[truth.base_rows]
    name = _name(build, base.shape[1])
    if slug(name) in taken:
        name = f"{name}-{first.embeddings_key[:8]}-{first.protocol.use}"
    return _Searched(
        name=slug(name),
        space=first.space,
        base=base,
        queries=asked[truth.query_rows],
        build=build,
    )


def _vectors(store: EmbeddingStore, key: str) -> Matrix:
    if not store.has(key):
        raise DataError(
            f"The vectors {key} are in no cache any more ({store.root}), and without them there are no "
            "distances to export. Give the --cache of the run, or run the suite again: it measures "
            "nothing twice."
        )
    return store.load(key).vectors


def _name(build: Build, dim: int) -> str:
    """Return what ann-benchmarks would call the data set: its own name where it is one of its own."""
    trial, data = build.trials[0], build.opened.data
    if trial.dataset.use == "ann_benchmarks" and (trial.transform.use, data.space) == (
        "none",
        trial.space,
    ):
        return data.name
    parts = [data.name, str(trial.model)]
    parts += [str(trial.transform)] if trial.transform.use != "none" else []
    return "-".join([*parts, str(trial.protocol), str(dim), DISTANCE_OF[trial.space]])


def _write_data(out: Path, data: _Searched) -> None:
    similarities = Similarities(queries=data.queries, base=data.base, space=data.space)
    found = exact_neighbours(similarities, data.build.truth.self_ids, _NEIGHBOURS)
    write_dataset(
        out,
        data.name,
        data.space,
        base=data.base,
        queries=data.queries,
        neighbours=found.ids,
        distances=distances_of(data.queries, data.base, found.ids, data.space),
    )


def _kept_samples(record: Record) -> NDArray[np.float64]:
    """Return ``(n_passes, n_queries)`` nanoseconds of the passes that the record's latency is of."""
    samples = record.arrays[_LATENCY].astype(np.float64)
    lost = list(record.quiet.lost) if record.quiet else []
    return samples[quietest(lost, record.trial.measure.values["n_passes"])] if lost else samples


def _point(record: Record, data: _Searched) -> Point:
    trial = record.trial
    ids = record.arrays[_TOP_IDS][:, : trial.k].astype(np.int64)
    search = INDEXES.get(trial.index.use).SEARCH_PARAMS
    build = {k: v for k, v in trial.index.values.items() if k not in search}
    query = {k: v for k, v in trial.index.values.items() if k in search}
    others = [s for s in (trial.quantizer, trial.reranker) if s.use != "none"]
    samples = _kept_samples(record)
    latency, cost = record.latency, record.build
    return Point(
        dataset=data.name,
        algorithm="+".join([trial.index.use, *map(str, others)]),
        build={**build, "n_threads": trial.n_threads} if trial.n_threads > 1 else build,
        query=query if trial.k == ids.shape[1] else {**query, "k": trial.k},
        trial_id=trial.id,
        space=trial.space,
        ids=ids,
        distances=distances_of(data.queries, data.base, ids, data.space),
        seconds=np.median(samples, axis=0) / 1e9,
        mean_seconds=latency.mean_us / 1e6 if latency else np.nan,
        build_seconds=(cost.build_seconds if cost else 0.0) + record.prepare_seconds,
        index_bytes=cost.index_bytes if cost else 0,
        n_runs=len(samples),
        asked=trial.k,
    )
