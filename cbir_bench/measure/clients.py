"""Several clients at once: each asks one query after the other, as a closed loop.

What they measure is the system under load: queries per second of all together, and how long each waits.
Clients of the kind "threads" share the index in one process, as a threaded service does; Python runs one
of them at a time except inside the library's call, which is part of what such a service costs. Clients of
the kind "processes" are forked from the process that holds the index, as a pre-forking service does, and
share its memory.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import threading
import time
import traceback
import warnings
from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import CbirBenchError
from cbir_bench.measure.clock import no_garbage_collection, wall_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_READY: Final = b"."
_GATE_SECONDS: Final = 60.0
"""How long clients are waited for before the load begins."""


class ClientError(CbirBenchError):
    """A client ended before it had asked all its queries."""


class Load(NamedTuple):
    """What some clients saw.

    Attributes:
        wall_ns: ``(n_clients, n_queries)`` nanoseconds of each call.
        seconds: from the first client's first query to the last one's last answer.
    """

    wall_ns: NDArray[np.int64]
    seconds: float


def loaded(
    kind: str,
    answers: Sequence[Callable[[Any], Any]],
    queries: Sequence[Any],
    *,
    n_warmup: int,
    seed: int,
) -> Load:
    """Return what clients see that all ask all queries, each in an order of its own.

    Args:
        kind: "threads" or "processes".
        answers: one callable per client, which answers one query.
        queries: prepared queries.
        n_warmup: calls of each client before the load begins.
        seed: of the orders.

    Raises:
        ClientError: if a client fails; the message holds what it raised.
    """
    orders = [
        np.random.default_rng((seed, i)).permutation(len(queries)) for i in range(len(answers))
    ]
    clients = [
        _Client(answer, [queries[i] for i in order], n_warmup)
        for answer, order in zip(answers, orders, strict=True)
    ]
    run = _as_threads if kind == "threads" else _as_processes
    with no_garbage_collection():
        samples, spans = run(clients)
    wall_ns = np.empty_like(samples)
    for row, order in enumerate(orders):
        wall_ns[row, order] = samples[row]
    return Load(wall_ns, float(spans[:, 1].max() - spans[:, 0].min()) / 1e9)


class _Client(NamedTuple):
    answer: Callable[[Any], Any]
    queries: list[Any]
    n_warmup: int

    def warm_up(self) -> None:
        for i in range(self.n_warmup):
            self.answer(self.queries[i % len(self.queries)])

    def ask(self, samples: NDArray[np.int64], span: NDArray[np.int64]) -> None:
        """Ask all queries; write their times and when the first began and the last ended."""
        span[0] = perf_counter_ns()
        measured = wall_pass(self.answer, self.queries)
        span[1] = perf_counter_ns()
        samples[:] = measured


def _as_threads(clients: Sequence[_Client]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    n_queries = len(clients[0].queries)
    samples, spans = (
        np.zeros((len(clients), n_queries), np.int64),
        np.zeros((len(clients), 2), np.int64),
    )
    gate = threading.Barrier(len(clients))
    errors: list[str] = []

    def work(place: int) -> None:
        try:
            clients[place].warm_up()
            gate.wait(_GATE_SECONDS)
            clients[place].ask(samples[place], spans[place])
        except threading.BrokenBarrierError:
            pass  # another one failed, and said why
        except Exception as error:  # noqa: BLE001  whatever a library raises, the load has failed
            traceback.print_exc()
            errors.append(f"{type(error).__name__}: {error}")
            gate.abort()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise ClientError(_failed("thread", errors[0]))
    return samples, spans


def _as_processes(clients: Sequence[_Client]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    n_clients, n_queries = len(clients), len(clients[0].queries)
    shared = np.frombuffer(mmap.mmap(-1, 8 * n_clients * (n_queries + 2)), np.int64)
    shared = shared.reshape(n_clients, n_queries + 2)
    ready_read, ready_write = os.pipe()
    gate_read, gate_write = os.pipe()
    children: list[int] = []
    try:
        for place, client in enumerate(clients):
            child = _fork()
            if child == 0:
                os.close(gate_write)
                _be_client(client, shared[place], ready_write, gate_read)
            children.append(child)
        os.close(ready_write)
        ready_write = -1
        _wait_for(n_clients, ready_read)
        os.close(gate_write)  # the end of the pipe reaches all of them at once
        gate_write = -1
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        children.clear()
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for end in (ready_read, ready_write, gate_read, gate_write):
            if end >= 0:
                os.close(end)
    if any(statuses):
        raise ClientError(
            _failed("process", f"its exit status is {next(s for s in statuses if s)}")
        )
    return shared[:, 2:].copy(), shared[:, :2].copy()


def _fork() -> int:
    """Fork although libraries may have started threads; a client that hangs for it runs out of time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _be_client(client: _Client, row: NDArray[np.int64], ready: int, gate: int) -> None:
    """Be a forked client from beginning to end; never returns."""
    status = 1
    try:
        gc.disable()
        client.warm_up()
        os.write(ready, _READY)
        os.close(ready)
        os.read(gate, 1)
        client.ask(row[2:], row[:2])
        status = 0
    except BaseException:  # noqa: BLE001  it may not return into the code that forked it
        traceback.print_exc()
    finally:
        os._exit(status)


def _wait_for(n_clients: int, ready: int) -> None:
    """Return when all clients are ready, or one of them ended."""
    os.set_blocking(ready, False)
    deadline = time.monotonic() + _GATE_SECONDS
    n_ready = 0
    while n_ready < n_clients and time.monotonic() < deadline:
        try:
            told = os.read(ready, n_clients)
        except BlockingIOError:
            time.sleep(0.001)
            continue
        if not told:
            return  # all have closed their end, some without a word
        n_ready += len(told)


def _failed(kind: str, what: str) -> str:
    return (
        f"A client ({kind}) failed: {what}. This index may not be searched by several at once; "
        "leave out [measure] clients, or set clients_as to the other kind."
    )
