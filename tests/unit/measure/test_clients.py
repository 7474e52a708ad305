"""Several clients at once, as threads and as forked processes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cbir_bench.measure.clients import ClientError, loaded

KINDS = ("threads", "processes")


def sleeper(seconds):
    return lambda _query: time.sleep(seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_ask_at_the_same_time(kind):
    """One after the other they would need four times as long, and there would be no load."""
    load = loaded(kind, [sleeper(0.05)] * 4, list(range(10)), n_warmup=0, seed=0)

    assert load.wall_ns.shape == (4, 10)
    assert load.wall_ns.min() >= 50e6
    assert 0.5 <= load.seconds < load.wall_ns.sum() / 2e9


@pytest.mark.parametrize("kind", KINDS)
def test_each_client_asks_every_query_and_samples_keep_their_place(kind):
    """Samples are compared query by query; each client has an order of its own."""
    queries = [0.001, 0.02, 0.004, 0.03]

    load = loaded(kind, [time.sleep] * 2, queries, n_warmup=0, seed=0)

    assert (load.wall_ns >= np.array(queries) * 1e9).all()


def test_processes_are_processes_and_threads_are_threads():
    """Only processes answer without the lock of one interpreter."""
    seen = []

    loaded("threads", [lambda _: seen.append(threading.get_ident())] * 2, [1], n_warmup=0, seed=0)
    loaded("processes", [lambda _: seen.append("here")] * 2, [1], n_warmup=0, seed=0)

    assert len(seen) == 2
    assert "here" not in seen


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_comes_before_the_load(kind):
    """The first call of a client may be a hundred times slower, and is not what the load is about."""
    state = {}

    def answer(_query):
        first = state.setdefault((os.getpid(), threading.get_ident()), 0)
        state[os.getpid(), threading.get_ident()] = first + 1
        time.sleep(0.1 if first == 0 else 0)

    load = loaded(kind, [answer] * 2, [1, 2, 3], n_warmup=1, seed=0)

    assert load.wall_ns.max() < 0.1e9


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_fails_is_an_error_not_a_hang(kind):
    """Others would wait for it forever at the gate, or its zeros would look like great speed."""

    def answer(_query):
        raise RuntimeError("not by several at once")

    with pytest.raises(ClientError, match="leave out"):
        loaded(kind, [answer, sleeper(0.0)], [1, 2], n_warmup=1, seed=0)


def test_a_client_that_dies_in_the_middle_is_an_error():
    """A library may be unfit for forked processes and crash in one of them."""
    parent = os.getpid()

    def answer(query):
        if query == 2 and os.getpid() != parent:
            os._exit(3)

    with pytest.raises(ClientError, match="exit status is 3"):
        loaded("processes", [answer, sleeper(0.0)], [1, 2, 3], n_warmup=0, seed=0)


def test_no_process_is_left_behind():
    """Each would go on using the machine while others measure."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")

    def answer(_query):
        raise RuntimeError

    before = children.read_text().split()
    with pytest.raises(ClientError):
        loaded("processes", [answer] * 3, [1], n_warmup=1, seed=0)

    assert children.read_text().split() == before
