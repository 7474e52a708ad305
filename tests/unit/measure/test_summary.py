"""A few numbers stand for all samples, and say how well they are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.record import PERCENTILES
from cbir_bench.measure.summary import percentile_interval, summarise_latency, summarise_load


def test_percentiles_run_over_the_median_of_each_query():
    """A time slice of the scheduler hits a query in one pass; its median is the library's own."""
    samples = np.full((3, 100), 10_000)
    samples[1, 7] = 9_000_000
    samples[:, 42] = 50_000

    actual = summarise_latency(samples, samples // 2)

    assert actual.p50_us == 10.0
    assert actual.p95_us == 10.0
    assert 10 < actual.p99_us <= 50
    assert actual.p99_us < actual.p999_us <= 50
    assert actual.raw_p99_us > actual.p50_us
    assert actual.mean_us == pytest.approx((99 * 10 + 50) / 100)
    assert actual.qps == pytest.approx(1e6 / actual.mean_us)
    assert actual.cpu_p50_us == 5.0
    assert actual.cpu_mean_us == pytest.approx((99 * 5 + 25) / 100)
    assert actual.n_samples == 300


def test_no_sample_has_no_summary():
    """A latency of nothing would be NaN in every table."""
    with pytest.raises(InvalidArrayError, match="at least one query"):
        summarise_latency(np.empty((3, 0), np.int64), np.empty((3, 0), np.int64))


@pytest.mark.parametrize("n", [1, 2, 7, 50, 200, 1000])
@pytest.mark.parametrize("percent", [50.0, 90.0, 95.0, 99.0, 99.9])
def test_intervals_end_at_the_ranks_of_the_binomial(n, percent):
    """Hahn and Meeker's interval, with the ranks looked for one by one."""
    share = percent / 100
    lowest = max(i for i in range(n + 2) if binom.cdf(i - 1, n, share) <= 0.025)
    highest = min(i for i in range(n + 2) if binom.sf(i - 1, n, share) <= 0.025)

    actual = percentile_interval(
        np.random.default_rng(0).permutation(np.arange(1.0, n + 1)), percent
    )

    assert actual == (lowest or None, highest if highest <= n else None)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """An interval that is missed too often would show differences that are none."""
    random = np.random.default_rng(1)
    truth = np.log(2)
    held = 0
    for _ in range(2000):
        low, high = percentile_interval(random.exponential(size=60), 50.0)
        held += low <= truth <= high

    assert 0.95 <= held / 2000 < 0.985


def test_two_hundred_queries_do_not_bound_the_thousandth():
    """No number is better than one that nothing stands behind."""
    _, high = percentile_interval(np.arange(200.0), 99.9)

    assert high is None


def test_every_percentile_has_an_interval_around_it():
    """The report shows both side by side."""
    samples = np.random.default_rng(0).integers(1000, 90_000, (3, 5000))

    actual = summarise_latency(samples, samples)

    assert list(actual.intervals) == list(PERCENTILES)
    for name, (low, high) in actual.intervals.items():
        assert low <= getattr(actual, name) <= high


def test_load_counts_all_clients_against_the_clock_on_the_wall():
    """Two clients that each answer 10 queries in a tenth of a second make 200 queries a second."""
    samples = np.full((3, 2, 10), 9_000_000)

    actual = summarise_load("threads", samples, np.array([0.1, 0.3, 0.1]))

    assert (actual.clients, actual.kind, actual.n_samples) == (2, "threads", 60)
    assert actual.qps == pytest.approx(200)
    assert actual.p50_us == actual.p999_us == actual.mean_us == 9000
