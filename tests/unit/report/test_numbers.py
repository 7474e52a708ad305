"""Numbers as text: a wrong unit here is a wrong decision there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.report import numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (13_247, "13,200"),
        (947.4, "947"),
        (12.34, "12.3"),
        (9.996, "10.0"),
        (999.6, "1,000"),
        (0.01234, "0.0123"),
        (-4.567, "-4.57"),
        (2_631_000, "2,630,000"),
    ],
)
def test_three_significant_digits(value: float, expected: str) -> None:
    """More digits would claim a precision that no timing has."""
    assert numbers.significant(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (2.77e-7, "277 ns"),
        (1e-6, "1.00 µs"),
        (9.9999e-7, "1.00 µs"),
        (350e-6, "350 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.00 s"),
        (2.4, "2.40 s"),
        (179, "179 s"),
        (300, "5.00 min"),
        (14_400, "4.00 h"),
        (math.nan, numbers.MISSING),
        (math.inf, numbers.MISSING),
    ],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, expected: str) -> None:
    """Nobody should count zeros, and nothing reads 1,000 µs."""
    assert numbers.duration(seconds) == expected
    assert numbers.microseconds(seconds * 1e6) == expected


@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1.00 KiB"),
        (5_120_000, "4.88 MiB"),
        (3 * 2**30, "3.00 GiB"),
        (2**52, "4,100 TiB"),
        (-2048, "-2.00 KiB"),
        (math.nan, numbers.MISSING),
    ],
)
def test_sizes_have_binary_prefixes(n_bytes: float, expected: str) -> None:
    """Memory is sold and limited in powers of 1,024."""
    assert numbers.size(n_bytes) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.6604, "0.660"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (0.9998, "0.9998"),
        (0.00004, "0.00004"),
        (math.nan, numbers.MISSING),
    ],
)
def test_a_fraction_never_rounds_to_a_bound_that_it_is_not_at(value: float, expected: str) -> None:
    """A knn_recall of 1.000 says exact."""
    assert numbers.fraction(value) == expected


def test_an_interval_follows_its_mean() -> None:
    """Without one the mean stands alone."""
    assert numbers.with_interval(0.5, 0.45, 0.551) == "0.500 [0.450, 0.551]"
    assert numbers.with_interval(0.5, math.nan, math.nan) == "0.500"
    assert numbers.with_interval(math.nan, math.nan, math.nan) == numbers.MISSING


@given(st.floats(1e-12, 1e12))
def test_rounding_stays_within_half_a_percent(value: float) -> None:
    """Three digits are that good, at every magnitude."""
    actual = float(numbers.significant(value).replace(",", ""))

    assert actual == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((72.3, 70.91, 74.5), "72.3 µs [70.9, 74.5]"),
        ((980, 960, 1_020), "980 µs [960, 1.02 ms]"),
        ((1_500, 990, 2_000), "1.50 ms [990 µs, 2.00]"),
        ((50, 40, math.nan), f"50.0 µs [40.0, {numbers.MISSING}]"),
        ((50, math.nan, math.nan), "50.0 µs"),
        ((math.nan, math.nan, math.nan), numbers.MISSING),
    ],
)
def test_a_time_stands_before_its_interval(
    values: tuple[float, float, float], expected: str
) -> None:
    """The unit is written once where all share it, and never left to be guessed."""
    assert numbers.with_bounds(*values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, "1.00"), (1.004, "1.00"), (0.25, "0.25"), (12.34, "12.3"), (math.nan, numbers.MISSING)],
)
def test_ratios_have_two_decimals(value: float, expected: str) -> None:
    """Near 1 the second decimal says whether a theory holds."""
    assert numbers.ratio(value) == expected
