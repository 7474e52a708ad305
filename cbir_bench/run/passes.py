"""The passes of one trial: single queries, batches and clients, one of each at a time.

The trials of a build take turns, pass by pass, so that a slow drift of the machine meets all of them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.measure.clients import loaded
from cbir_bench.measure.clock import Pass, shuffled_pass, timed
from cbir_bench.measure.disturbance import Disturbance, Watch
from cbir_bench.measure.threads import running_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cbir_bench.measure.settings import MeasureSettings
    from cbir_bench.run.pipeline import Pipeline

_SINGLE: Final = 1
"""Threads of a single query, whatever builds and batches are given."""


class _Calls(NamedTuple):
    """How long all calls of a pass over batches took, and the CPU time of the whole process."""

    seconds: float
    cpu_seconds: float


@dataclass(kw_only=True, eq=False)
class Passes:
    """Everything that is measured of one trial on its built index.

    Attributes:
        pipeline: answers queries.
        measure: how to measure.
        n_threads: of batch search.
        cores: that clients may run on.
        rows: ``(n,)`` the queries that are asked singly.
        single: the passes over single queries, each with what it lost to others.
        batches: for each batch size the calls of each pass.
        loads: for each kind and number of clients the load of each pass.
    """

    pipeline: Pipeline
    measure: MeasureSettings
    n_threads: int
    cores: tuple[int, ...]
    rows: NDArray[np.int64] = field(init=False)
    single: list[tuple[Pass, Disturbance]] = field(default_factory=list)
    batches: dict[int, list[_Calls]] = field(default_factory=dict)
    loads: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    n_repeated: int = 0
    library_seconds: float = 0.0

    def __post_init__(self) -> None:
        n_queries = len(self.pipeline.inputs.queries)
        self.rows = sample(n_queries, self.measure.n_latency_queries, self.measure.seed)

    def probe(self) -> float:
        """Return the median microseconds of a few single queries: a first guess for what to leave out."""
        self._configure(_SINGLE)
        answer, queries = self.pipeline.single_calls(self.rows[: max(1, self.measure.n_warmup)])
        return float(np.median(shuffled_pass(answer, queries, n_warmup=1, seed=0).wall_ns)) / 1e3

    def next(self, number: int) -> None:
        """Make pass ``number`` of single queries and of batches, from 0."""
        self._time_batches()
        self._time_single(number)

    def next_loads(self, number: int) -> None:
        """Make pass ``number`` with several clients at once."""
        for kind in self.measure.clients_as if self.measure.clients else ():
            for n_clients in self.measure.clients:
                self._time_load(kind, n_clients, number)

    def repeat_disturbed(self) -> bool:
        """Measure single queries once more if too few passes were quiet; return whether it did."""
        quiet = sum(lost.share <= self.measure.max_disturbance for _, lost in self.single)
        if quiet >= self.measure.n_passes or self.n_repeated >= self.measure.n_repeats:
            return False
        self.n_repeated += 1
        self._time_single(len(self.single))
        return True

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every sample: single queries, and those of all clients, as rows of passes."""
        arrays = {
            "latency_queries": self.rows,
            "latency_ns": np.stack([one.wall_ns for one, _ in self.single]),
            "latency_cpu_ns": np.stack([one.cpu_ns for one, _ in self.single]),
        }
        for (kind, n_clients), passes in self.loads.items():
            arrays[f"load_{kind}_{n_clients}_ns"] = np.concatenate([one.wall_ns for one in passes])
        return arrays

    def numbers(self) -> dict[str, Any]:
        """Return what goes into the record beside the samples, as JSON."""
        return {
            "quiet": self._quiet(),
            "batches": [self._batch(size, calls) for size, calls in self.batches.items()],
            "loads": [
                {"kind": kind, "clients": n, "seconds": [one.seconds for one in passes]}
                for (kind, n), passes in self.loads.items()
            ],
        }

    def _configure(self, n_threads: int) -> None:
        self.pipeline.index.configure(self.pipeline.handle, n_threads)

    def _time_single(self, number: int) -> None:
        self._configure(_SINGLE)
        answer, queries = self.pipeline.single_calls(self.rows)
        watch = Watch()
        one = shuffled_pass(
            answer, queries, n_warmup=self.measure.n_warmup, seed=self.measure.seed + number
        )
        self.single.append((one, watch.disturbance()))
        self.library_seconds += float(one.wall_ns.sum()) / 1e9

    def _time_batches(self) -> None:
        self._configure(self.n_threads)
        n_queries = len(self.pipeline.inputs.queries)
        for size in self.measure.batch_sizes:
            rows = sample(n_queries, max(size, self.measure.n_latency_queries), self.measure.seed)
            parts = np.array_split(rows, max(1, len(rows) // size))
            found = [self.pipeline.batch_call(part) for part in parts]
            calls = [call for call in found if call is not None]
            if len(calls) < len(found):
                return
            calls[
                0
            ]()  # a first batch of another size pays for threads that start and for cold caches
            # Timed as one: what is done around a clock would empty the caches before each small batch.
            total = timed(partial(_call_all, calls))
            self.batches.setdefault(size, []).append(_Calls(total.seconds, total.cpu_seconds))
            self.library_seconds += total.seconds

    def _time_load(self, kind: str, n_clients: int, number: int) -> None:
        self._configure(_SINGLE)
        answer, queries = self.pipeline.single_calls(self.rows)
        start = perf_counter()
        with running_on(self.cores):
            load = loaded(
                kind,
                [answer] * n_clients,
                queries,
                n_warmup=self.measure.n_warmup,
                seed=self.measure.seed + number,
            )
        self.loads.setdefault((kind, n_clients), []).append(load)
        self.library_seconds += perf_counter() - start

    def _batch(self, size: int, passes: list[_Calls]) -> dict[str, Any]:
        n_queries = len(self.pipeline.inputs.queries)
        n = min(n_queries, max(size, self.measure.n_latency_queries))
        seconds = float(np.median([one.seconds for one in passes]))
        cpu_seconds = float(np.median([one.cpu_seconds for one in passes]))
        return {
            "batch_size": min(size, n_queries),
            "qps": n / seconds,
            "cpu_us": 1e6 * cpu_seconds / n,
            "n_calls": max(1, n // size),
        }

    def _quiet(self) -> dict[str, Any]:
        lost = [disturbance.share for _, disturbance in self.single]
        kept = [self.single[i][1] for i in quietest(lost, self.measure.n_passes)]
        shares = [one.share for one in kept]
        return {
            "waited": _mean(kept, "waited"),
            "foreign": _mean(kept, "foreign"),
            "steal": _mean(kept, "steal"),
            "worst": max(shares),
            "n_disturbed": sum(share > self.measure.max_disturbance for share in shares),
            "n_repeated": self.n_repeated,
            "lost": lost,
        }


def quietest(lost: list[float], n: int) -> list[int]:
    """Return which ``n`` passes lost the least, in the order in which they were made."""
    return sorted(sorted(range(len(lost)), key=lambda i: lost[i])[:n])


def sample(n: int, size: int, seed: int) -> NDArray[np.int64]:
    """Return ``min(n, size)`` of ``n`` rows, ascending, the same for the same seed."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, size), replace=False))


def _call_all(calls: list[Callable[[], Any]]) -> None:
    for call in calls:
        call()


def _mean(kept: list[Disturbance], name: str) -> float | None:
    """Return the mean share, weighted by how long each pass was."""
    values = [(getattr(one, name), one.seconds) for one in kept]
    known = [(value, seconds) for value, seconds in values if value is not None]
    total = sum(seconds for _, seconds in known)
    return sum(value * seconds for value, seconds in known) / total if total else None
