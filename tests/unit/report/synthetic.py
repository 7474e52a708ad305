"""Records of a run that never happened: seeded, cheap, and shaped like the real ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbir_bench.core.component import Setting
from cbir_bench.core.hashing import canonical_json, key_of
from cbir_bench.core.record import Batch, BuildCost, Latency, Load, MetricValue, Quiet, Record
from cbir_bench.core.trial import Trial
from cbir_bench.records.store import RecordStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

METRICS = ("map_at_r", "ap", "hit_rate@1", "precision@10", "knn_recall@10")
MODELS = ("resnet-gem", "efficientnet-avg", "vit-cls", "colour histogram")
MODEL_QUALITY = {
    "resnet-gem": 0.66,
    "efficientnet-avg": 0.45,
    "vit-cls": 0.36,
    "colour histogram": 0.08,
}
N_BASE, DIM, K = 10_000, 128, 100
VECTOR_BYTES = N_BASE * DIM * 4
ENVIRONMENT = {
    "cpu": "Imaginary CPU @ 2.10 GHz",
    "n_cores": 2,
    "versions": {"faiss-cpu": "1.15.1", "hnswlib": "0.8.0", "numpy": "2.4.0"},
}


class Sweep(NamedTuple):
    """One library: build settings, search settings, and a law for what comes out.

    Attributes:
        use: the library.
        build: options of the build.
        option, values: what is swept.
        fastest_us: latency at the first value.
        misses: share of neighbours that the first value misses.
        seconds, size: build time, and index bytes relative to the vectors.
    """

    use: str
    build: dict[str, Any]
    option: str
    values: tuple[int, ...]
    fastest_us: float
    misses: float
    seconds: float
    size: float


_EF = (100, 200, 400)
_PROBES = (1, 4, 16, 64)
_FAST_SCAN = "IVF128,PQ32x4fs,Refine(SQfp16)"
EXACT = Sweep("exact", {}, "block", (1024,), 1_900, 0, 0.02, 1.0)
NULL = Sweep("null", {}, "", (0,), 0.3, 0.999, 1e-5, 1e-6)
HNSWLIB = Sweep("hnswlib", {"m": 16}, "ef_search", _EF, 75, 0.02, 2.4, 1.14)
ANNOY = Sweep("annoy", {"n_trees": 50}, "search_k", (500, 2000, 8000), 126, 0.25, 0.7, 1.6)
SWEEPS = (
    EXACT,
    NULL,
    HNSWLIB,
    Sweep("hnswlib", {"m": 32}, "ef_search", _EF, 95, 0.008, 3.9, 1.27),
    Sweep("faiss", {"factory": "HNSW32,Flat"}, "ef_search", _EF, 105, 0.012, 3.1, 1.26),
    Sweep("faiss", {"factory": "IVF128,Flat"}, "nprobe", _PROBES, 28, 0.22, 0.4, 1.01),
    Sweep("faiss", {"factory": _FAST_SCAN}, "nprobe", _PROBES[1:], 45, 0.06, 0.9, 0.56),
    ANNOY,
    Sweep("nmslib", {"m": 16}, "ef_search", _EF, 110, 0.02, 3.6, 2.1),
    Sweep("scann", {"n_leaves": 100}, "n_leaves_to_search", (5, 10, 20, 40), 33, 0.12, 0.6, 1.13),
)


def setting(use: str, label: str = "", /, **options: Any) -> Setting:
    return Setting(use=use, options=canonical_json(options), label=label or use)


@dataclass(frozen=True, kw_only=True)
class Point:
    """Which trial to make up."""

    sweep: Sweep = HNSWLIB
    value: int = 0
    dataset: str = "products"
    model: str = MODELS[0]
    protocol: str = "query-set"
    quantizer: str = "none"
    reranker: str = "none"
    k: int = K
    space: str = "cosine"
    replicate: int = 0
    changes: dict[str, Any] = field(default_factory=dict)

    def trial(self) -> Trial:
        name, values = self.sweep.option, self.sweep.values
        options = self.sweep.build | ({name: values[self.value]} if name else {})
        shown = ", ".join(f"{n}={v}" for n, v in options.items() if n != "block")
        return Trial(
            dataset=setting("products", self.dataset, name=self.dataset),
            model=setting("timm", self.model, name=self.model),
            training=None,
            quantizer=setting(self.quantizer),
            index=setting(self.sweep.use, f"{self.sweep.use}({shown})" if shown else "", **options),
            reranker=setting(self.reranker),
            protocol=setting(self.protocol),
            space=self.space,
            k=self.k,
            n_threads=1,
            data_hash="d" * 64,
            embeddings_key="e" * 16,
            measure=setting("measure", passes=3, seed=0),
            metrics=METRICS,
            replicate=self.replicate,
        )


def record_of(point: Point, seed: int = 0, *, arrays: bool = False) -> Record:
    """Return the record of a trial, realistic to the eye and the same for the same seed."""
    trial = point.trial()
    rng = np.random.default_rng([seed, int(trial.id, 16)])
    n_queries = N_BASE if point.protocol == "full-base" else 1_000
    recall = _knn_recall(point)
    metrics = _metrics(point, recall, n_queries)
    latency_us = _latency_us(point) * rng.lognormal(0, 0.02)
    base = Record(
        trial=trial,
        status="ok",
        n_base=N_BASE,
        n_queries=n_queries,
        dim=DIM,
        metrics=metrics,
        latency=_latency(latency_us),
        batch_qps=2.5e6 / latency_us if point.sweep.use != "annoy" else None,
        batches=_batches(point, latency_us),
        loads=_loads(latency_us),
        quiet=Quiet(
            waited=0.01,
            foreign=0.02,
            steal=None,
            worst=0.02,
            n_disturbed=0,
            n_repeated=1,
            lost=(0.02, 0.0, 0.3, 0.01),
        ),
        build=_build(point, rng),
        bytes_per_vector=DIM * (1 if point.quantizer == "int8" else 4),
        environment=ENVIRONMENT,
        arrays=_arrays(trial, n_queries, recall, latency_us, rng) if arrays else {},
    )
    return changed(base, **point.changes)


def changed(record: Record, **changes: Any) -> Record:
    return replace(record, **changes)


def failed(point: Point, status: str, reason: str) -> Record:
    return Record(
        trial=point.trial(),
        status=status,
        reason=reason,
        log_tail="last words\n",
        environment=ENVIRONMENT,
    )


def sweep_points(
    datasets: Iterable[str] = ("products",),
    models: Iterable[str] = MODELS,
    protocols: Iterable[str] = ("query-set", "full-base"),
    quantizers: Iterable[str] = ("none",),
    rerankers: Iterable[str] = ("none", "alpha-qe"),
) -> list[Point]:
    """Return every point of a sweep; the default has 4 models x 2 protocols x 28 settings x 2."""
    return [
        Point(
            sweep=sweep, value=value, dataset=d, model=m, protocol=p, quantizer=q, reranker=r
        )
        for d in datasets
        for p in protocols
        for m in models
        for q in quantizers
        for sweep in SWEEPS
        for value in range(len(sweep.values))
        for r in rerankers
    ]  # fmt: skip


def write_run(folder: Path, records: Iterable[Record], *, missing: int = 0) -> Path:
    """Write a run folder whose plan names the records and some trials that were never measured."""
    folder.mkdir(parents=True, exist_ok=True)
    store = RecordStore(folder)
    ids = []
    for record in records:
        store.write(record)
        ids.append(record.trial.id)
    plan = {"trials": [*ids, *(f"{n:016x}" for n in range(missing))]}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "suite.toml").write_text('name = "synthetic"\n', encoding="utf-8")
    return folder


def _knn_recall(point: Point) -> float:
    recall = 1 - point.sweep.misses / 2.6**point.value
    return recall * (0.985 if point.quantizer == "int8" else 1.0)


def _metrics(point: Point, recall: float, n_queries: int) -> dict[str, MetricValue]:
    left_out = 12 if point.protocol == "query-set" else 0
    gain = 1.06 if point.reranker == "alpha-qe" else 1.0
    best = (
        MODEL_QUALITY.get(point.model, 0.3) * gain * (0.97 if point.protocol == "full-base" else 1)
    )
    means = {
        "map_at_r": best * recall**1.3,
        "hit_rate@1": min(0.99, best**0.3) * recall**0.2,
        "precision@10": best * 0.9 * recall,
        "knn_recall@10": recall * (0.8 if point.reranker == "alpha-qe" else 1.0),
    }
    if point.sweep.use == "exact" and point.reranker == "none":
        means["ap"] = best * 1.08
    half = 0.6 / np.sqrt(n_queries - left_out)
    values = {
        name: MetricValue(
            mean=mean,
            low=max(0.0, mean - half * mean),
            high=min(1.0, mean + half * mean * 0.9),
            n_queries=n_queries - left_out,
            n_left_out=left_out,
        )
        for name, mean in means.items()
    }
    undefined = MetricValue(mean=None, undefined="ap needs the complete ranking: exact search only")
    return {name: values.get(name, undefined) for name in METRICS}


def _latency_us(point: Point) -> float:
    first = point.sweep.fastest_us * 1.75**point.value
    return first * 2.1 + 20 if point.reranker == "alpha-qe" else first


def _latency(us: float) -> Latency:
    values = {"p50_us": 0.97, "p90_us": 1.2, "p95_us": 1.3, "p99_us": 1.6, "p999_us": 2.2}
    return Latency(
        **{name: us * factor for name, factor in values.items()},
        mean_us=us,
        raw_p99_us=us * 4,
        cpu_p50_us=us * 0.96,
        cpu_mean_us=us * 0.99,
        qps=1e6 / us,
        n_samples=3_000,
        intervals={
            name: (us * factor * 0.98, None if name == "p999_us" else us * factor * 1.03)
            for name, factor in values.items()
        },
    )


def _batches(point: Point, us: float) -> tuple[Batch, ...]:
    if point.sweep.use == "annoy":
        return ()
    return tuple(
        Batch(batch_size=size, qps=2.5e6 / us * share, cpu_us=us / share, n_calls=1000 // size)
        for size, share in ((10, 0.6), (1000, 1.0))
    )


def _loads(us: float) -> tuple[Load, ...]:
    return tuple(
        Load(
            clients=n,
            kind=kind,
            qps=min(n, most) * 1e6 / us,
            p50_us=us * max(1, n / 2),
            p90_us=us * n,
            p95_us=us * 1.2 * n,
            p99_us=us * 1.5 * n,
            p999_us=us * 3 * n,
            mean_us=us * max(1, n / 2),
            n_samples=600 * n,
        )
        for kind, most in (("threads", 1.4), ("processes", 2))
        for n in (1, 2, 4)
    )


def _build(point: Point, rng: np.random.Generator) -> BuildCost:
    size = int(VECTOR_BYTES * point.sweep.size)
    seconds = point.sweep.seconds * float(rng.lognormal(0, 0.01))
    return BuildCost(
        build_key=key_of(
            [
                *(*point.sweep[:2], point.quantizer, point.model, point.protocol, point.dataset),
                point.replicate,
            ]
        ),
        build_seconds=seconds,
        build_cpu_seconds=seconds * 0.98,
        index_bytes=size,
        theoretical_bytes=size,
        private_growth_bytes=int(size * 1.06),
        peak_build_bytes=int(size * 1.4),
        sampled_peak_bytes=int(size * 1.3),
        input_bytes=VECTOR_BYTES,
        save_seconds=seconds / 50,
        load_seconds=seconds / 40,
        loaded_bytes=int(size * 1.02),
        loads_identically=True,
    )


def _arrays(
    trial: Trial, n_queries: int, recall: float, latency_us: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    values = {name: rng.beta(5 * recall, 3, n_queries) for name in trial.metrics if name != "ap"}
    values["map_at_r"][:12] = np.nan
    sample = np.sort(rng.choice(n_queries, n_queries // 10, replace=False))
    passes = (latency_us * 1e3 * rng.lognormal(0, 0.2, (3, len(sample)))).astype(np.int64)
    top = rng.integers(0, N_BASE, (n_queries, 10)).astype(np.int32)
    samples = {"latency_ns": passes, "latency_cpu_ns": passes, "latency_queries": sample}
    return values | {"top_ids": top} | samples
