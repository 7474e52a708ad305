"""The noun Record: what one trial measured, or why it could not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.trial import Trial

SCHEMA_VERSION: Final = 2
Status: TypeAlias = Literal[
    "ok", "skipped", "refused", "timeout", "out_of_memory", "crashed", "failed"
]
"""skipped: a cheaper setting made it pointless, its library is not installed or does not search that space;
refused: a setting cannot work; crashed: the process died; failed: it raised or answered nonsense."""
PERCENTILES: Final = {
    "p50_us": 50.0,
    "p90_us": 90.0,
    "p95_us": 95.0,
    "p99_us": 99.0,
    "p999_us": 99.9,
}
"""The percentiles of latency that are told, by the names of their fields."""
Interval: TypeAlias = tuple[float | None, float | None]
"""A 95 % interval; None at an end that the samples say nothing about."""


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
        p50_us, p90_us, p95_us, p99_us, p999_us: percentiles over queries of each query's median over passes.
        mean_us: mean over queries of each query's median over passes.
        raw_p99_us: 99th percentile of all samples, with whatever the scheduler did to them.
        cpu_p50_us, cpu_mean_us: median and mean over queries of what the calling thread computed, each
            query's median over passes.
        qps: 1e6 / mean_us.
        n_samples: how many.
        intervals: 95 % interval of each percentile, by its name.
    """

    p50_us: float
    p90_us: float
    p95_us: float
    p99_us: float
    p999_us: float
    mean_us: float
    raw_p99_us: float
    cpu_p50_us: float
    cpu_mean_us: float
    qps: float
    n_samples: int
    intervals: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Search of many queries in one call.

    Attributes:
        batch_size: queries per call.
        qps: queries per second, of the median pass.
        cpu_us: CPU microseconds of the whole process per query, of the median pass.
        n_calls: calls per pass.
    """

    batch_size: int
    qps: float
    cpu_us: float
    n_calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Several clients at once, each with one query after the other.

    Attributes:
        clients: how many.
        kind: "threads" or "processes".
        qps: queries per second of all of them together, of the median pass.
        p50_us, p90_us, p95_us, p99_us, p999_us, mean_us: over all samples of all clients.
        n_samples: how many.
    """

    clients: int
    kind: str
    qps: float
    p50_us: float
    p90_us: float
    p95_us: float
    p99_us: float
    p999_us: float
    mean_us: float
    n_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """How quiet the machine was during the passes over single queries; None where it does not tell.

    Attributes:
        waited: share of the kept passes' time that the measuring thread waited for a core.
        foreign: share of all cores' time in which other programs computed.
        steal: share of all cores' time that the hypervisor took.
        worst: the largest share that a kept pass lost.
        n_disturbed: kept passes that lost more than the suite's max_disturbance.
        n_repeated: passes that were measured once more for this reason.
        lost: what each pass lost, the larger of ``waited`` and ``steal``, in the order of the rows of
            "latency_ns"; the least disturbed ones are kept.
    """

    waited: float | None
    foreign: float | None
    steal: float | None
    worst: float
    n_disturbed: int
    n_repeated: int
    lost: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildCost:
    """What the build of the index cost; shared by all trials of one build.

    Attributes:
        build_key: the same for every trial that used this build.
        build_seconds, build_cpu_seconds: wall and CPU time of the whole build.
        train_seconds, add_seconds: wall time of its two steps; None where the library has no two steps.
        index_bytes: the saved index on disk.
        theoretical_bytes: by the library's own parameters; None if unknown.
        private_growth_bytes: growth of the worker's private anonymous memory over the build.
        peak_build_bytes: the worker's peak resident memory during the build above what it was before, by
            the kernel's high-water mark.
        sampled_peak_bytes: the peak of its anonymous memory alone, sampled from outside every few
            milliseconds; None for builds that were shorter.
        input_bytes: the base vectors, which are mapped from a file and in none of the numbers above.
        save_seconds: wall time of saving the index.
        load_seconds: wall time of loading it in a fresh process; None if that was not tried or failed.
        loaded_bytes: what loading and searching it added to the memory of that process, mapped files
            included.
        loads_identically: whether the loaded index gave the same answers; None if it was not asked.
        load_problem: why it could not be loaded; empty if it could.
    """

    build_key: str
    build_seconds: float
    build_cpu_seconds: float
    index_bytes: int
    theoretical_bytes: int | None
    private_growth_bytes: int
    peak_build_bytes: int
    train_seconds: float | None = None
    add_seconds: float | None = None
    sampled_peak_bytes: int | None = None
    input_bytes: int | None = None
    save_seconds: float | None = None
    load_seconds: float | None = None
    loaded_bytes: int | None = None
    loads_identically: bool | None = None
    load_problem: str = ""


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
        batch_qps: queries per second of the largest batches; None where the library has no batch search.
        batches: batch search at each size that the suite asks for, in its order.
        loads: several clients at once, in the suite's order.
        quiet: how quiet the machine was; None for a failure.
        build: cost of the index.
        bytes_per_vector: what the quantiser stores per vector.
        codebook_bytes: what it stores once.
        prepare_seconds, prepare_bytes: base-side work of the re-ranker.
        environment: versions, CPU, threads, load.
        warnings: what the reader of this number should know.
        arrays: per-query columns for the Parquet file: ``(n_queries, ...)`` each, or
            ``(n_samples, n_latency_queries)`` for names that end in "_ns", whose columns are the queries of
            "latency_queries": "latency_ns" and "latency_cpu_ns" of every pass, "load_threads_4_ns", ...
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
    batches: tuple[Batch, ...] = ()
    loads: tuple[Load, ...] = ()
    quiet: Quiet | None = None
    build: BuildCost | None = None
    bytes_per_vector: int | None = None
    codebook_bytes: int | None = None
    prepare_seconds: float = 0.0
    prepare_bytes: int = 0
    environment: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
