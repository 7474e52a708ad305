"""Paired comparison of two systems on the same queries.

The randomisation test is Fisher's, as Smucker, Allan and Carterette, CIKM 2007, recommend it for retrieval:
if the systems were alike, each query's difference could as well have had the other sign. Holm, Scandinavian
Journal of Statistics 6(2), 1979, corrects for many such tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.bootstrap import TIE, exactly_summable, ratio_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores

N_PERMUTATIONS: Final = 9999
_ENUMERATED: Final = 13
"""Units up to which all signs are tried: 2^13 is less than what would be drawn."""
_SIGNS_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """By how much the second of two systems is better, and how sure that is.

    Attributes:
        mean_a, mean_b: macro averages over the queries that both have a value for.
        difference: ``mean_b - mean_a``.
        low, high: 95 % BCa interval of the difference; None where there is one unit only.
        p_value: of the two-sided randomisation test, in (0, 1]: how often signs drawn at random give a
            difference as large as this one.
        n_wins: queries for which the second system is better.
        n_ties: queries for which both are equal.
        n_losses: queries for which the first system is better.
        n_queries: queries compared.
        n_left_out: queries for which the metric is undefined.
        n_units: queries, or clusters of them, that were drawn.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float
    n_wins: int
    n_ties: int
    n_losses: int
    n_queries: int
    n_left_out: int
    n_units: int


def compare(
    a: Quotients | Scores,
    b: Quotients | Scores,
    *,
    clusters: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Comparison:
    """Return how a metric of the second system differs from that of the first, query by query.

    Args:
        a: ``(n_queries,)`` values of the first system; NaN where the metric is undefined.
        b: those of the second system, for the same queries.
        clusters: ``(n_queries,)`` queries of one cluster are drawn, and change their signs, together; None
            if each stands for itself.
        seed: of the draws.

    Raises:
        InvalidArrayError: if lengths differ, a query is undefined for one system only (then they were not
            held against the same relevant items), or for all.

    >>> import numpy as np
    >>> first, second = np.array([0.2, 0.5, 0.4, np.nan]), np.array([0.3, 0.7, 0.9, np.nan])
    >>> result = compare(first, second)
    >>> round(result.difference, 3), result.p_value, result.n_wins, result.n_left_out
    (0.267, 0.25, 3, 1)
    """
    before, after = _scores(a), _scores(b)
    defined = _defined(before, after, clusters)
    before, after = before[defined], after[defined]
    differences = _differences(before, after)
    sums, counts = _units(differences, None if clusters is None else clusters[defined])
    mean_a, mean_b = float(before.mean()), float(after.mean())
    low, high = _interval(sums, counts, mean_b - mean_a, seed)
    return Comparison(
        mean_a=mean_a,
        mean_b=mean_b,
        difference=mean_b - mean_a,
        low=low,
        high=high,
        p_value=_p_value(sums, seed),
        n_wins=int((differences > 0).sum()),
        n_ties=int((differences == 0).sum()),
        n_losses=int((differences < 0).sum()),
        n_queries=len(before),
        n_left_out=len(defined) - len(before),
        n_units=len(sums),
    )


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted for being several, in the same order, by Holm's step-down rule.

    Whatever stays below .05 is significant with a probability of at most 5 % that any of it is by chance,
    however the tests depend on each other.

    Args:
        p_values: ``(n_tests,)`` in [0, 1].

    Raises:
        InvalidArrayError: if one of them is no probability.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InvalidArrayError(
            f"The p-values are {p_values!r}. Give a list of numbers between 0 and 1."
        )
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def _scores(values: Quotients | Scores) -> Scores:
    return values.scores if isinstance(values, Quotients) else np.asarray(values, np.float64)


def _defined(
    before: Scores, after: Scores, clusters: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    """Return which queries have a value, refused unless they are the same for both systems."""
    lengths = [len(before), len(after), *([] if clusters is None else [len(clusters)])]
    if len(set(lengths)) > 1:
        raise InvalidArrayError(
            f"There are values of {lengths[0]} and {lengths[1]} queries"
            f"{f', and clusters of {lengths[2]}' if clusters is not None else ''}. "
            "Compare systems on the same queries."
        )
    unlike = np.flatnonzero(np.isnan(before) != np.isnan(after))
    if len(unlike):
        raise InvalidArrayError(
            f"Query {unlike[0]} has a value for one of the systems only. "
            "Hold both against the same relevant items."
        )
    defined = ~np.isnan(before)
    if not defined.any():
        raise InvalidArrayError(
            f"None of the {len(before)} queries has a value. Check labels and protocol."
        )
    return defined


def _differences(before: Scores, after: Scores) -> Scores:
    """Return ``(n_queries,)`` by how much the second is better; 0 where it is by rounding alone."""
    differences = exactly_summable((after - before)[None])[0]
    rounding = TIE * max(np.abs(before).max(), np.abs(after).max())
    return np.where(np.abs(differences) <= rounding, 0.0, differences)


def _units(differences: Scores, clusters: NDArray[np.int64] | None) -> tuple[Scores, Scores]:
    """Return the sum of differences and the number of queries of each query or cluster."""
    if clusters is None:
        return differences, np.ones(len(differences))
    codes = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    return (
        np.asarray(np.bincount(codes, weights=differences), np.float64),
        np.bincount(codes).astype(np.float64),
    )


def _interval(
    sums: Scores, counts: Scores, difference: float, seed: int
) -> tuple[float | None, float | None]:
    if len(sums) == 1:
        return None, None
    low, high = ratio_intervals(sums[None], counts[None], seed=seed)
    return min(float(low[0]), difference), max(float(high[0]), difference)


def _p_value(sums: Scores, seed: int) -> float:
    """Return the share of sign assignments under which the sum is at least as far from 0 as it is.

    Exact for few units; else of ``N_PERMUTATIONS`` draws and the one that was observed.
    """
    moving = sums[sums != 0]  # what has no sign changes no sum
    as_far = abs(moving.sum()) - TIE * np.abs(moving).sum()
    exact = len(moving) <= _ENUMERATED
    blocks = _all_signs(len(moving)) if exact else _drawn_signs(len(moving), seed)
    # A sign is -1 or 1, a bit 0 or 1: the sum is twice that of the units with bit 1, less all of it.
    extreme = [(abs(2 * (bits @ moving) - moving.sum()) >= as_far).sum() for bits in blocks]
    if exact:
        return float(sum(extreme)) / (1 << len(moving))
    return float(sum(extreme) + 1) / (N_PERMUTATIONS + 1)


def _all_signs(n_units: int) -> Iterator[NDArray[np.float64]]:
    """Yield ``(2^n_units, n_units)`` every row of zeros and ones."""
    numbers = np.arange(2**n_units)[:, None]
    yield (numbers >> np.arange(n_units) & 1).astype(np.float64)


def _drawn_signs(n_units: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield ``N_PERMUTATIONS`` rows of zeros and ones, some at a time."""
    random = np.random.default_rng(seed)
    step = max(1, _SIGNS_AT_ONCE // n_units)
    for start in range(0, N_PERMUTATIONS, step):
        n = min(step, N_PERMUTATIONS - start)
        packed = random.integers(0, 256, (n, -(-n_units // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=n_units).astype(np.float64)
