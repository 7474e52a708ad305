"""The clock counts the right calls; how long they take is nobody's promise."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.measure import clock
from cbir_bench.measure.clock import batch_seconds, one_pass, single_latency, timed
from cbir_bench.measure.summary import summarise_latency


class FakeClock:
    """Nanoseconds that pass only where a test says so."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def fake(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(clock, "perf_counter_ns", fake)
    return fake


def test_each_sample_belongs_to_its_query(fake):
    """Queries are asked in another order each pass; their samples must not be."""
    asked = []

    def answer(query):
        asked.append(query)
        fake.now += 10 * query

    samples = single_latency(answer, [1, 2, 3, 4, 5, 6], n_passes=4, n_warmup=0, seed=0)

    assert samples.tolist() == [[10, 20, 30, 40, 50, 60]] * 4
    passes = [tuple(asked[i : i + 6]) for i in range(0, 24, 6)]
    assert all(sorted(one) == [1, 2, 3, 4, 5, 6] for one in passes)
    assert len(set(passes)) > 1


def test_warm_up_is_not_measured(fake):
    """The first calls pay for caches and for lazy initialisation."""
    calls = []

    def answer(query):
        calls.append(query)
        fake.now += 1000 if len(calls) <= 5 else 1

    samples = single_latency(answer, [7, 8], n_passes=3, n_warmup=5, seed=0)

    assert samples.tolist() == [[1, 1]] * 3
    assert calls[:5] == [7, 8, 7, 8, 7]


def test_the_same_seed_asks_in_the_same_order():
    """Two runs of a suite do the same work."""
    orders = []
    for _ in range(2):
        asked = []
        single_latency(asked.append, range(20), n_passes=2, n_warmup=0, seed=3)
        orders.append(asked)

    assert orders[0] == orders[1]


def test_garbage_is_not_collected_while_the_clock_runs():
    """A collection takes milliseconds and hits one query at random."""
    states = []

    one_pass(lambda _: states.append(gc.isenabled()), [1, 2])
    timed(lambda: states.append(gc.isenabled()))

    assert states == [False, False, False]
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_an_error():
    """The worker goes on with the next trial."""
    with pytest.raises(ZeroDivisionError):
        one_pass(lambda n: 1 / n, [0])

    assert gc.isenabled()


def test_a_batch_is_timed_once_per_pass(fake):
    """Each pass is kept, so that the median can be told from the first, cold one."""
    seconds = iter([3, 1, 2])

    def call():
        fake.now += int(next(seconds) * 1e9)

    assert batch_seconds(call, 3).tolist() == [3.0, 1.0, 2.0]


def test_percentiles_run_over_the_median_of_each_query():
    """A time slice of the scheduler hits a query in one pass; its median is the library's own."""
    samples = np.full((3, 100), 10_000)
    samples[1, 7] = 9_000_000
    samples[:, 42] = 50_000

    actual = summarise_latency(samples)

    assert actual.p50_us == 10.0
    assert actual.p95_us == 10.0
    assert 10 < actual.p99_us <= 50
    assert actual.raw_p99_us > actual.p50_us
    assert actual.mean_us == pytest.approx((99 * 10 + 50) / 100)
    assert actual.qps == pytest.approx(1e6 / actual.mean_us)
    assert actual.n_samples == 300


def test_no_sample_has_no_summary():
    """A latency of nothing would be NaN in every table."""
    with pytest.raises(InvalidArrayError, match="at least one query"):
        summarise_latency(np.empty((3, 0), np.int64))
