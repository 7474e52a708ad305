"""The noise floor against what the normal distribution says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cbir_bench.doctor.noise import floor, smallest_difference

NORMAL_95 = 1.959964


def medians(n_pairs: int, spread: float, drift: float = 0.0, seed: int = 0) -> list[float]:
    """Return medians of processes whose logarithms are normal, on a machine that may get slower."""
    random = np.random.default_rng(seed)
    noise = random.normal(0.0, spread, 2 * n_pairs)
    return np.exp(noise + drift * np.repeat(np.arange(n_pairs), 2)).tolist()


def test_the_floor_is_the_95_percent_end_of_a_difference_of_two():
    """The difference of two processes spreads by the square root of 2 more than one."""
    spread = 0.01
    expected = 100 * math.expm1(NORMAL_95 * math.sqrt(2) * spread)

    actual = smallest_difference(medians(2000, spread))

    assert actual.percent == pytest.approx(expected, rel=0.05)
    assert actual.low < actual.percent < actual.high


def test_more_pairs_show_smaller_differences():
    """The mean of n pairs spreads by the square root of n less."""
    actual = smallest_difference(medians(400, 0.01))

    assert actual.percent / actual.of_pairs_percent == pytest.approx(math.sqrt(400), rel=0.1)


def test_slow_drifts_do_not_count():
    """That is what pairs are for: both halves see the same machine."""
    still = smallest_difference(medians(200, 0.01))

    drifting = smallest_difference(medians(200, 0.01, drift=0.05))

    assert drifting.percent == pytest.approx(still.percent, rel=1e-6)


def test_a_side_that_is_always_slower_is_noise_too():
    """Both halves do the same, so whatever they differ by is no effect."""
    actual = smallest_difference([1.0, 1.1] * 50)

    assert actual.percent == pytest.approx(10.0)


def test_equal_processes_have_no_noise():
    """Nothing is divided by a spread of zero."""
    actual = smallest_difference([5.0] * 6)

    assert (actual.percent, actual.high, actual.of_pairs_percent) == (0.0, 0.0, 0.0)


def test_an_unpaired_process_is_left_out():
    """A run may be stopped between two halves."""
    assert smallest_difference([1.0, 1.1, 50.0]) == smallest_difference([1.0, 1.1])


def test_wall_and_cpu_are_told_apart():
    """On a busy machine CPU time repeats where wall time does not."""
    wall, cpu = medians(50, 0.1), medians(50, 0.01)

    actual = floor("work", [1e5 * one for one in wall], cpu)

    assert actual.wall.percent > 5 * actual.cpu.percent
    assert actual.n_pairs == 50
    assert actual.median_us == pytest.approx(100.0, rel=0.1)
