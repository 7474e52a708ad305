"""From what a worker answered to a record: hits, metrics, latency, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.component import create
from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.record import Batch, Load, Quiet, Record
from cbir_bench.core.registry import INDEXES, QUANTIZERS, RERANKERS
from cbir_bench.measure.environment import environment
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.measure.summary import summarise_latency, summarise_load
from cbir_bench.metrics.aggregate import evaluate
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.neighbours import exact_neighbours
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.run.measuring import verdict
from cbir_bench.run.passes import quietest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix
    from cbir_bench.core.embeddings import Embeddings
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.quantizer import Quantizer
    from cbir_bench.core.record import BuildCost, MetricValue, Status
    from cbir_bench.core.trial import Trial
    from cbir_bench.metrics.aggregate import Evaluation
    from cbir_bench.metrics.neighbours import ExactNeighbours
    from cbir_bench.run.plan import Build

_TOP: Final = 10
"""Ids per query that a record keeps, for galleries."""


class Ended(NamedTuple):
    """How a trial without a result ended."""

    status: Status
    reason: str
    log_tail: str


class Searched(NamedTuple):
    """What is known of a trial before its latency.

    Attributes:
        evaluation: every metric.
        top_ids: ``(n_queries, up to 10)`` the first results, for galleries.
        warnings: what the reader should know.
        probe_us: median microseconds of a few single queries.
        prepare_seconds, prepare_bytes: base-side work of the re-ranker.
    """

    evaluation: Evaluation
    top_ids: NDArray[np.int32]
    warnings: tuple[str, ...]
    probe_us: float
    prepare_seconds: float
    prepare_bytes: int


class Vectors(NamedTuple):
    """What is searched and what is asked.

    Attributes:
        images: the frozen vectors of the test split.
        texts: those of the queries, where queries are texts; None where images are.
    """

    images: Embeddings
    texts: Embeddings | None = None


class Part:
    """What all builds of one data set, model, protocol, quantiser and space share.

    Args:
        build: the first of the builds.
        vectors: the frozen vectors of its data set and model.
        folder: where the vectors for workers are written; made if it is not there.

    Attributes:
        problem: why the quantiser's vectors cannot be searched; None if they can.
    """

    def __init__(self, build: Build, vectors: Vectors, folder: Path) -> None:
        first = build.trials[0]
        self.key, self.folder = build.part, folder
        self.truth: GroundTruth = build.truth
        self._space = first.space
        images, texts = vectors.images.vectors, vectors.texts
        asked = images if texts is None else texts.vectors
        if first.space == "cosine":
            images, asked = unit_rows(images), unit_rows(asked)
        self.base: Matrix = images[self.truth.base_rows]
        self.queries: Matrix = asked[self.truth.query_rows]
        quantizer = create(QUANTIZERS, first.quantizer.use, first.quantizer.values)
        self.bytes_per_vector = quantizer.bytes_per_vector(self.base.shape[1])
        self.codebook_bytes: int | None = None
        self.problem: Ended | None = None
        try:
            quantizer.check(n=len(self.base), dim=self.base.shape[1])
            self.decoded = self._decode(quantizer, str(first.quantizer))
            # Refuses lengths whose products no library can add up.
            Similarities(queries=self.queries, base=self.decoded, space=self._space)
        except Exception as error:  # noqa: BLE001  it may be somebody else's; others go on
            self.problem = Ended(*verdict(error), log_tail="")
            self.decoded = self.base
        self._known_neighbours: ExactNeighbours | None = None
        self._complete_by_names: dict[tuple[str, ...], dict[str, Quotients]] = {}
        self._write()

    @property
    def base_path(self) -> Path:
        """Where workers find what they index."""
        return self.folder / "base.npy"

    @property
    def original_path(self) -> Path:
        """Where workers find the same before the quantiser."""
        return self.base_path if self.decoded is self.base else self.folder / "original.npy"

    @property
    def queries_path(self) -> Path:
        """Where workers find the queries."""
        return self.folder / "queries.npy"

    @property
    def self_ids_path(self) -> Path | None:
        """Where workers find each query's own row of the base, if any has one."""
        return self.folder / "self_ids.npy" if self.truth.leave_one_out else None

    def searched(self, trial: Trial, event: dict[str, Any]) -> Searched:
        """Return what a trial's answers are worth, from the worker's event and its ids."""
        with np.load(event["arrays"]) as file:
            ids = file["ids"].astype(np.int64)
        return Searched(
            evaluation=self._score(trial, ids),
            top_ids=ids[:, :_TOP].astype(np.int32),
            warnings=_warnings(ids),
            probe_us=event["probe_us"],
            prepare_seconds=event["prepare_seconds"],
            prepare_bytes=event["prepare_bytes"],
        )

    def record(
        self,
        trial: Trial,
        searched: Searched,
        event: dict[str, Any],
        build: BuildCost | None,
        environment: dict[str, Any],
    ) -> Record:
        """Return the record of a trial from what was known before and the worker's event and samples."""
        with np.load(event["arrays"]) as file:
            samples = dict(file)
        measure = MeasureSettings(**trial.measure.values)
        kept = quietest(event["quiet"]["lost"], measure.n_passes)
        batches = tuple(Batch(**batch) for batch in event["batches"])
        return Record(
            trial=trial,
            status="ok",
            n_base=len(self.base),
            n_queries=len(self.queries),
            dim=self.base.shape[1],
            metrics=searched.evaluation.values,
            latency=summarise_latency(samples["latency_ns"][kept], samples["latency_cpu_ns"][kept]),
            batch_qps=max(batches, key=lambda batch: batch.batch_size).qps if batches else None,
            batches=batches,
            loads=tuple(_load(load, samples) for load in event["loads"]),
            quiet=Quiet(**{**event["quiet"], "lost": tuple(event["quiet"]["lost"])}),
            build=build,
            bytes_per_vector=self.bytes_per_vector,
            codebook_bytes=self.codebook_bytes,
            prepare_seconds=searched.prepare_seconds,
            prepare_bytes=searched.prepare_bytes,
            environment=environment,
            warnings=(
                *searched.warnings,
                *_disturbed(event["quiet"], measure),
                *_not_compiled_for(environment.get("simd", {})),
                *_not_loaded(build),
            ),
            arrays={**searched.evaluation.scores, "top_ids": searched.top_ids, **samples},
        )

    def failure(
        self,
        trial: Trial,
        ended: Ended,
        build: BuildCost | None,
        environment: dict[str, Any],
    ) -> Record:
        """Return the record of a trial that has no result."""
        return Record(
            trial=trial,
            status=ended.status,
            reason=ended.reason,
            log_tail=ended.log_tail,
            n_base=len(self.base),
            n_queries=len(self.queries),
            dim=self.base.shape[1],
            build=build,
            bytes_per_vector=self.bytes_per_vector,
            environment=environment,
        )

    def _score(self, trial: Trial, ids: Ids) -> Evaluation:
        """Return every metric of a trial's answer."""
        positives = self.truth.positives(ids)
        names = [MetricName.parse(name) for name in trial.metrics]
        of_neighbours = [name.k for name in names if name.of_neighbours and name.k]
        found = None
        if of_neighbours:
            found = self._neighbours(max(of_neighbours)).found(ids)
        complete = None
        if _is_exact(trial):
            labels = tuple(str(name) for name in names if not name.of_neighbours)
            complete = self._complete(labels)
        classes = self.truth.classes
        return evaluate(names, positives, classes=classes, neighbours=found, complete=complete)

    def _neighbours(self, k: int) -> ExactNeighbours:
        """Return the neighbours under the frozen vectors, before any quantiser."""
        if self._known_neighbours is None or self._known_neighbours.k < k:
            similarities = Similarities(queries=self.queries, base=self.base, space=self._space)
            self._known_neighbours = exact_neighbours(similarities, self.truth.self_ids, k)
        return self._known_neighbours

    def _complete(self, names: tuple[str, ...]) -> dict[str, Quotients]:
        """Return metrics of the complete ranking of what the index was built from."""
        if names not in self._complete_by_names:
            similarities = Similarities(queries=self.queries, base=self.decoded, space=self._space)
            self._complete_by_names[names] = complete_quotients(names, similarities, self.truth)
        return self._complete_by_names[names]

    def _decode(self, quantizer: Quantizer, name: str) -> Matrix:
        """Return what the quantiser keeps of the base, as float32; the base itself if it keeps all."""
        codebook = quantizer.fit(self.base)
        self.codebook_bytes = quantizer.codebook_bytes(codebook)
        decoded = quantizer.decode(codebook, quantizer.encode(codebook, self.base))
        if decoded is self.base:
            return decoded
        if decoded.shape != self.base.shape:
            raise InvalidArrayError(
                f"The quantizer {name} decodes {self.base.shape} vectors to {decoded.shape}. "
                "Correct its decode()."
            )
        squares = np.einsum("ij,ij->i", decoded, decoded, dtype=np.float64)
        bad = ~np.isfinite(squares) | ((squares == 0) & (self._space == "cosine"))
        if bad.any():
            raise InvalidArrayError(
                f"The quantizer {name} turns {bad.sum()} of {len(bad)} vectors into zeros, NaN or "
                "infinity, which have no neighbours. Choose finer options, or another space."
            )
        return unit_rows(decoded) if self._space == "cosine" else decoded

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self.base_path, self.decoded)
        if self.original_path != self.base_path:
            np.save(self.original_path, self.base)
        np.save(self.queries_path, self.queries)
        if self.self_ids_path is not None:
            np.save(self.self_ids_path, self.truth.self_ids)


def _load(told: dict[str, Any], samples: Mapping[str, NDArray[Any]]) -> Load:
    """Return the summary of one number of clients."""
    n_clients, seconds = told["clients"], np.array(told["seconds"])
    rows = samples[f"load_{told['kind']}_{n_clients}_ns"]
    return summarise_load(told["kind"], rows.reshape(len(seconds), n_clients, -1), seconds)


def _warnings(ids: Ids) -> tuple[str, ...]:
    short = int((ids == NO_ITEM).any(1).sum())
    if not short:
        return ()
    return (f"{short} of {len(ids)} queries found fewer than k results.",)


def _disturbed(quiet: dict[str, Any], measure: MeasureSettings) -> tuple[str, ...]:
    """Return a sentence if the machine was too busy for the numbers to be trusted."""
    if not quiet["n_disturbed"]:
        return ()
    said = (
        f"Other programs disturbed {quiet['n_disturbed']} of {measure.n_passes} latency passes "
        f"({quiet['worst']:.0%} of the worst one's time), {quiet['n_repeated']} repeats included. "
        "Measure on a quieter machine."
    )
    return (said,)


def _not_compiled_for(simd: Mapping[str, dict[str, Any] | None]) -> Iterator[str]:
    """Yield a sentence for each library that leaves wide instructions of the processor unused."""
    for module, found in simd.items():
        if found is not None and found["unused"]:
            flags = ", ".join(flag.upper() for flag in found["unused"])
            yield (
                f"{module} was compiled without {flags}, which this processor has: it would be faster if "
                "built here. cbir-bench doctor says how."
            )


def _not_loaded(build: BuildCost | None) -> Iterator[str]:
    """Yield what came of loading the saved index, if it was not the same index."""
    if build is not None and build.load_problem:
        yield f"The saved index could not be used: {build.load_problem}"
    if build is not None and build.loads_identically is False:
        yield "The saved index gives other answers after it is loaded again."


def first_knn_recall(values: Mapping[str, MetricValue]) -> float | None:
    """Return the share of exact neighbours found, of the suite's first such metric."""
    means = (value.mean for name, value in values.items() if name.startswith("knn_recall"))
    return next(means, None)


def never_searched(trial: Trial, ended: Ended, truth: GroundTruth) -> Record:
    """Return the record of a trial whose vectors could not be made."""
    return Record(
        trial=trial,
        status=ended.status,
        reason=ended.reason,
        log_tail=ended.log_tail,
        n_base=len(truth.base_rows),
        n_queries=len(truth.query_rows),
        environment=environment(),
    )


def _is_exact(trial: Trial) -> bool:
    """Return whether a trial's ranking is the exact one, so that its complete ranking is known."""
    index = INDEXES.get(trial.index.use)
    return index.EXACT and RERANKERS.get(trial.reranker.use).MODE == "identity"
