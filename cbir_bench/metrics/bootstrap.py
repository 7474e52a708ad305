"""Percentile bootstrap of means over queries. Efron, Annals of Statistics 7(1), 1979."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores

N_RESAMPLES: Final = 1000
_COVERED: Final = (2.5, 97.5)
_DIGITS: Final = 9
"""More would only show in which order the matrix product happened to add."""
_DRAWS_AT_ONCE: Final = 1 << 20
_DRAWS_KEPT: Final = 1 << 26


class Interval(NamedTuple):
    """``(n_metrics,)`` ends of each metric's 95 % interval."""

    low: Scores
    high: Scores


def mean_intervals(
    scores: NDArray[np.float64], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Return the 95 % interval of each row's mean when its columns are drawn again with replacement.

    All metrics share the same draws, so that ten cost hardly more than one.

    Args:
        scores: ``(n_metrics, n_queries)`` without NaN, at least one query.
        n_resamples: how often all queries are drawn again.
        seed: of the draws; the same seed and number of queries give the same draws.
    """
    n_queries = scores.shape[1]
    means = [
        counts.astype(np.float64) @ scores.T / n_queries
        for counts in _counts(n_queries, n_resamples, seed)
    ]
    low, high = np.round(np.percentile(np.concatenate(means), _COVERED, axis=0), _DIGITS)
    mean = scores.mean(axis=1)
    return Interval(low=np.minimum(low, mean), high=np.maximum(high, mean))


def _counts(n_queries: int, n_resamples: int, seed: int) -> Iterable[NDArray[np.uint8]]:
    """Return how often each query is drawn in each resample, in blocks of resamples."""
    if n_queries * n_resamples <= _DRAWS_KEPT:
        return _kept(n_queries, n_resamples, seed)
    return _drawn(n_queries, n_resamples, seed)


@lru_cache(maxsize=2)
def _kept(n_queries: int, n_resamples: int, seed: int) -> tuple[NDArray[np.uint8], ...]:
    return tuple(_drawn(n_queries, n_resamples, seed))


def _drawn(n_queries: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield ``(n, n_queries)`` counts; uint8 holds them: none of 256 was ever drawn 256 times."""
    random = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // n_queries)
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        draws = random.integers(0, n_queries, (n, n_queries))
        draws += np.arange(0, n * n_queries, n_queries)[:, None]
        counts = np.bincount(draws.ravel(), minlength=n * n_queries)
        yield counts.astype(np.uint8).reshape(n, n_queries)
