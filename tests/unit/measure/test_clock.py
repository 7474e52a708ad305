"""The clock counts the right calls; how long they take is nobody's promise."""

from __future__ import annotations

import gc
import time

import pytest

from cbir_bench.measure import clock
from cbir_bench.measure.clock import one_pass, shuffled_pass, timed


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

    samples = [
        shuffled_pass(answer, [1, 2, 3, 4, 5, 6], n_warmup=0, seed=seed).wall_ns.tolist()
        for seed in range(4)
    ]

    assert samples == [[10, 20, 30, 40, 50, 60]] * 4
    passes = [tuple(asked[i : i + 6]) for i in range(0, 24, 6)]
    assert all(sorted(one) == [1, 2, 3, 4, 5, 6] for one in passes)
    assert len(set(passes)) > 1


def test_warm_up_is_not_measured(fake):
    """The first calls pay for caches that another index has had."""
    calls = []

    def answer(query):
        calls.append(query)
        fake.now += 1000 if len(calls) <= 5 else 1

    measured = shuffled_pass(answer, [7, 8], n_warmup=5, seed=0)

    assert measured.wall_ns.tolist() == [1, 1]
    assert calls[:5] == [7, 8, 7, 8, 7]


def test_the_same_seed_asks_in_the_same_order():
    """Two runs of a suite do the same work."""
    orders = []
    for _ in range(2):
        asked = []
        shuffled_pass(asked.append, range(20), n_warmup=0, seed=3)
        orders.append(asked)

    assert orders[0] == orders[1]


def test_computing_and_waiting_are_told_apart():
    """A library that sleeps for a lock takes wall time only; CPU time says what it computes."""

    def answer(kind):
        end = time.thread_time() + 0.02
        while kind == "computes" and time.thread_time() < end:
            pass
        if kind == "sleeps":
            time.sleep(0.05)

    measured = one_pass(answer, ["computes", "sleeps"])

    assert measured.cpu_ns[0] >= 20e6
    assert measured.wall_ns[1] >= 50e6
    assert measured.cpu_ns[1] < 25e6


def test_garbage_is_not_collected_while_the_clock_runs():
    """A collection takes milliseconds and hits one query at random."""
    states = []

    one_pass(lambda _: states.append(gc.isenabled()), [1, 2])
    timed(lambda: states.append(gc.isenabled()))

    assert states == [False] * 3
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_an_error():
    """The worker goes on with the next trial."""
    with pytest.raises(ZeroDivisionError):
        one_pass(lambda n: 1 / n, [0])

    assert gc.isenabled()
