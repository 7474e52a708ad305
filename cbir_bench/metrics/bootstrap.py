"""BCa bootstrap of averages: bias-corrected and accelerated. Efron, JASA 82(397), 1987.

Every average is a quotient of two sums over units, which are queries or whole clusters of them. What is
drawn is how often each unit counts, so that one matrix product does all resamples of all averages.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores

N_RESAMPLES: Final = 2000
_TAIL: Final = 0.025
_MANTISSA: Final = 52
TIE: Final = 2.0**-40
"""Numbers are equal if they differ by less than this share of the largest: what decimals lose in binary."""
_DRAWS_AT_ONCE: Final = 1 << 20
_DRAWS_KEPT: Final = 1 << 26


class Interval(NamedTuple):
    """``(n_averages,)`` ends of each average's 95 % interval."""

    low: Scores
    high: Scores


def ratio_intervals(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the 95 % interval of each row's sum of numerators / sum of denominators.

    The columns are drawn again with replacement. All rows share the same draws, so that ten cost hardly
    more than one, and no row's interval depends on the others. An interval holds its average; where all
    resamples give the same value it has no width.

    Args:
        numerators: ``(n_averages, n_units)`` finite, at least one unit.
        denominators: likewise, above 0.
        n_resamples: how often all units are drawn again.
        seed: of the draws; the same seed and number of units give the same draws.
    """
    exact = exactly_summable(numerators), exactly_summable(denominators)
    columns = np.concatenate(exact).T.copy()
    sums = np.concatenate(
        [counts.astype(np.float64) @ columns for counts in _counts(len(columns), n_resamples, seed)]
    )
    resampled = sums[:, : len(numerators)] / sums[:, len(numerators) :]
    averages = exact[0].sum(axis=1) / exact[1].sum(axis=1)
    low, high = _percentiles(np.sort(resampled, axis=0), averages, _acceleration(*exact))
    value = numerators.sum(axis=1) / denominators.sum(axis=1)
    constant = (np.abs(resampled - averages) <= _tolerance(resampled)).all(axis=0)
    return Interval(
        low=np.where(constant, value, np.minimum(low, value)),
        high=np.where(constant, value, np.maximum(high, value)),
    )


def exactly_summable(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(n_rows, n_units)`` values rounded so that no sum of any n_units of them is rounded again.

    Then sums depend neither on the order of adding, nor on threads or what is computed beside them. A
    value moves by at most 2^-51 n_units times the largest of its row.
    """
    largest = np.abs(rows).max(axis=1, initial=0.0)
    bits = np.frexp(largest)[1] + int(np.ceil(np.log2(rows.shape[1])))
    exponent = (bits - _MANTISSA)[:, None]
    rounded: NDArray[np.float64] = np.ldexp(np.rint(np.ldexp(rows, -exponent)), exponent)
    return rounded


def _acceleration(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> Scores:
    """Return ``(n_averages,)`` how fast the spread grows with the average: jackknife, in closed form.

    At most 1/6 in size, whatever the data: a sum of cubes is at most that of squares to the power 3/2.
    """
    if numerators.shape[1] == 1:
        return np.zeros(len(numerators))
    rest = denominators.sum(axis=1, keepdims=True) - denominators
    without = (numerators.sum(axis=1, keepdims=True) - numerators) / rest
    influence = without.mean(axis=1, keepdims=True) - without
    squares = (influence**2).sum(axis=1) ** 1.5
    cubes = (influence**3).sum(axis=1)
    found: Scores = np.divide(cubes, 6 * squares, out=np.zeros(len(cubes)), where=squares > 0)
    return found


def _percentiles(ordered: NDArray[np.float64], averages: Scores, acceleration: Scores) -> Interval:
    """Return the ends of BCa intervals in ``(n_resamples, n_averages)`` ascending columns."""
    normal = NormalDist()
    low, high = np.empty_like(averages), np.empty_like(averages)
    n_resamples, tie = len(ordered), _tolerance(ordered)
    for i, (average, a) in enumerate(zip(averages, acceleration, strict=True)):
        column = ordered[:, i]
        below = np.searchsorted(column, average - tie[i])
        not_above = np.searchsorted(column, average + tie[i], side="right")
        share = float(np.clip((below + not_above) / 2, 0.5, n_resamples - 0.5)) / n_resamples
        bias = normal.inv_cdf(share)
        for ends, tail in ((low, _TAIL), (high, 1 - _TAIL)):
            moved = bias + normal.inv_cdf(tail)
            place = normal.cdf(bias + moved / (1 - a * moved))
            ends[i] = np.interp(place * (n_resamples - 1), np.arange(n_resamples), column)
    return Interval(low, high)


def _tolerance(resampled: NDArray[np.float64]) -> Scores:
    """Return ``(n_averages,)`` how far apart equal averages may be."""
    largest: Scores = np.abs(resampled).max(axis=0)
    return TIE * largest


def _counts(n_units: int, n_resamples: int, seed: int) -> Iterable[NDArray[np.uint8]]:
    """Return how often each unit is drawn in each resample, in blocks of resamples."""
    if n_units * n_resamples <= _DRAWS_KEPT:
        return _kept(n_units, n_resamples, seed)
    return _drawn(n_units, n_resamples, seed)


@lru_cache(maxsize=4)  # queries and classes, of relevant items and of neighbours
def _kept(n_units: int, n_resamples: int, seed: int) -> tuple[NDArray[np.uint8], ...]:
    return tuple(_drawn(n_units, n_resamples, seed))


def _drawn(n_units: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield ``(n, n_units)`` counts; uint8 holds them: none of 256 was ever drawn 256 times."""
    random = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // n_units)
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        draws = random.integers(0, n_units, (n, n_units), dtype=np.int32)
        draws += np.arange(0, n * n_units, n_units, dtype=np.int32)[:, None]
        counts = np.bincount(draws.ravel(), minlength=n * n_units)
        yield counts.astype(np.uint8).reshape(n, n_units)
