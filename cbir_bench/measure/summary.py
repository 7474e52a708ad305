"""From all samples of single-query latency to the few numbers that a table shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.record import Latency

if TYPE_CHECKING:
    from numpy.typing import NDArray


def summarise_latency(samples_ns: NDArray[np.int64]) -> Latency:
    """Return the summary of ``(n_passes, n_queries)`` nanoseconds.

    Percentiles and the mean run over queries, each of which counts with its median over the passes: on a busy
    machine the slowest samples are the scheduler's time slices, which hit another query in each pass.
    Queries per second follow from that mean. The 99th percentile of all samples stands beside them.

    Raises:
        InvalidArrayError: if there is no sample.
    """
    if samples_ns.ndim != 2 or not samples_ns.size:
        raise InvalidArrayError(
            f"Latency samples have shape {samples_ns.shape}; (n_passes, n_queries) is needed. "
            "Measure at least one query."
        )
    microseconds = samples_ns / 1e3
    of_queries = np.median(microseconds, axis=0)
    p50, p95, p99 = np.percentile(of_queries, [50, 95, 99])
    mean = float(of_queries.mean())
    return Latency(
        p50_us=float(p50),
        p95_us=float(p95),
        p99_us=float(p99),
        mean_us=mean,
        raw_p99_us=float(np.percentile(microseconds, 99)),
        qps=1e6 / mean,
        n_samples=samples_ns.size,
    )
