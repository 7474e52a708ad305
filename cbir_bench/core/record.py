"""The noun Record: what one trial measured, or why it could not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.trial import Trial

SCHEMA_VERSION: Final = 1
Status: TypeAlias = Literal["ok", "refused", "timeout", "out_of_memory", "crashed", "failed"]
"""refused: a setting cannot work; crashed: the process died; failed: it raised or answered nonsense."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its 95 % bootstrap interval.

    Attributes:
        value: the number.
        low, high: the interval; None where there is too little to draw from.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricValue:
    """A metric averaged over queries, in four ways.

    Attributes:
        mean: macro: the mean over the queries for which the metric is defined; None if there is none.
        low, high: 95 % bootstrap interval of ``mean``.
        by_class: the mean over classes of the mean over each class's queries.
        micro: numerators and denominators of the queries summed before they are divided.
        weighted: the mean over queries, each weighted with the number of its relevant items.
        n_queries: queries in the mean.
        n_classes: classes that they are of.
        n_left_out: queries without any relevant item.
        undefined: why there is no value at all; empty where there is one.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    by_class: Estimate | None = None
    micro: Estimate | None = None
    weighted: Estimate | None = None
    n_queries: int = 0
    n_classes: int = 0
    n_left_out: int = 0
    undefined: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Single-query latency in microseconds, from the same samples that the Parquet file keeps.

    Attributes:
        p50_us, p95_us, p99_us: percentiles over queries of each query's median over passes.
        mean_us: mean over queries of each query's median over passes.
        raw_p99_us: 99th percentile of all samples, with whatever the scheduler did to them.
        qps: 1e6 / mean_us.
        n_samples: how many.
    """

    p50_us: float
    p95_us: float
    p99_us: float
    mean_us: float
    raw_p99_us: float
    qps: float
    n_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildCost:
    """What the build of the index cost; shared by all trials of one build.

    Attributes:
        build_key: the same for every trial that used this build.
        build_seconds, build_cpu_seconds: wall and CPU time of ``build``.
        index_bytes: the saved index on disk.
        theoretical_bytes: by the library's own parameters; None if unknown.
        private_growth_bytes: growth of the worker's private anonymous memory over the build.
        peak_build_bytes: the worker's peak resident memory during the build above what it was before.
    """

    build_key: str
    build_seconds: float
    build_cpu_seconds: float
    index_bytes: int
    theoretical_bytes: int | None
    private_growth_bytes: int
    peak_build_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Record:
    """One trial, measured or failed. Never changed once written.

    Attributes:
        trial: what was measured.
        status: "ok", or the kind of failure.
        reason: one sentence for a failure; empty for "ok".
        log_tail: what the worker printed last, for a failure.
        n_base, n_queries, dim: sizes.
        metrics: by name, in the suite's order.
        latency: single queries; None for a failure.
        batch_qps: queries per second of batch search; None where the library has no batch search.
        build: cost of the index.
        bytes_per_vector: what the quantiser stores per vector.
        prepare_seconds, prepare_bytes: base-side work of the re-ranker.
        environment: versions, CPU, threads, load.
        warnings: what the reader of this number should know.
        arrays: per-query columns for the Parquet file: ``(n_queries, ...)`` each, or
            ``(n_passes, n_latency_queries)`` for "latency_ns".
        schema_version: of this layout.
    """

    trial: Trial
    status: Status
    reason: str = ""
    log_tail: str = ""
    n_base: int = 0
    n_queries: int = 0
    dim: int = 0
    metrics: dict[str, MetricValue] = field(default_factory=dict)
    latency: Latency | None = None
    batch_qps: float | None = None
    build: BuildCost | None = None
    bytes_per_vector: int | None = None
    prepare_seconds: float = 0.0
    prepare_bytes: int = 0
    environment: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
