"""From all samples of latency to the few numbers that a table shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.record import PERCENTILES, Latency, Load

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEYOND: Final = 0.025
"""Probability that an interval lies wholly above the percentile, and that it lies wholly below."""


def summarise_latency(wall_ns: NDArray[np.int64], cpu_ns: NDArray[np.int64]) -> Latency:
    """Return the summary of ``(n_passes, n_queries)`` nanoseconds of single queries.

    Percentiles and means run over queries, each of which counts with its median over the passes: on a busy
    machine the slowest samples are the scheduler's time slices, which hit another query in each pass.
    Queries per second follow from that mean. The 99th percentile of all samples stands beside them.

    Args:
        wall_ns: on the wall clock.
        cpu_ns: what the calling thread computed.

    Raises:
        InvalidArrayError: if there is no sample.
    """
    if wall_ns.ndim != 2 or not wall_ns.size:
        raise InvalidArrayError(
            f"Latency samples have shape {wall_ns.shape}; (n_passes, n_queries) is needed. "
            "Measure at least one query."
        )
    of_queries = np.median(wall_ns / 1e3, axis=0)
    cpu = np.median(cpu_ns / 1e3, axis=0)
    mean = float(of_queries.mean())
    return Latency(
        **_percentiles(of_queries),
        mean_us=mean,
        raw_p99_us=float(np.percentile(wall_ns / 1e3, 99)),
        cpu_p50_us=float(np.median(cpu)),
        cpu_mean_us=float(cpu.mean()),
        qps=1e6 / mean,
        n_samples=wall_ns.size,
        intervals={
            name: percentile_interval(of_queries, percent) for name, percent in PERCENTILES.items()
        },
    )


def summarise_load(kind: str, wall_ns: NDArray[np.int64], seconds: NDArray[np.float64]) -> Load:
    """Return the summary of ``(n_passes, n_clients, n_queries)`` nanoseconds under load.

    Args:
        kind: what the clients are: "threads" or "processes".
        wall_ns: of each call; here every sample counts, since waiting for others is what load is.
        seconds: ``(n_passes,)`` that each pass took from its first query to its last answer.
    """
    _, n_clients, n_queries = wall_ns.shape
    return Load(
        clients=n_clients,
        kind=kind,
        qps=n_clients * n_queries / float(np.median(seconds)),
        **_percentiles(wall_ns.ravel() / 1e3),
        mean_us=float(wall_ns.mean()) / 1e3,
        n_samples=wall_ns.size,
    )


def percentile_interval(
    values: NDArray[np.float64], percent: float
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a percentile, from the order of the values alone.

    The number of values below the true percentile is binomial, whatever their distribution; the interval
    ends at the ranks that it leaves in 2.5 % of all cases on either side (Hahn and Meeker, 1991, section
    5.2). Where so few values say nothing about an end, it is None: 200 queries never bound p99.9 above.

    Args:
        values: ``(n,)`` one per query.
        percent: 0 to 100.
    """
    lowest, highest = _ranks(len(values), percent / 100)
    ordered = np.sort(values)
    low = float(ordered[lowest - 1]) if lowest >= 1 else None
    high = float(ordered[highest - 1]) if highest <= len(values) else None
    return low, high


def _ranks(n: int, share: float) -> tuple[int, int]:
    """Return ranks l and u, from 1, with P(X < l) <= 2.5 % and P(X >= u) <= 2.5 % for X ~ B(n, share)."""
    counts = np.arange(n + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_choices = log_factorials[n] - log_factorials - log_factorials[::-1]
    chances = np.exp(log_choices + counts * np.log(share) + (n - counts) * np.log1p(-share))
    below = np.concatenate([[0.0], np.cumsum(chances)])  # below[i] = P(X < i)
    lowest = int(np.searchsorted(below, _BEYOND, side="right")) - 1
    highest = int(np.searchsorted(-(1 - below), -_BEYOND, side="left"))
    return lowest, highest


def _percentiles(microseconds: NDArray[np.float64]) -> dict[str, float]:
    found = np.percentile(microseconds, list(PERCENTILES.values()))
    return dict(zip(PERCENTILES, map(float, found), strict=True))
