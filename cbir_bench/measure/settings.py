"""How a trial is measured; part of its key."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

Count = Annotated[int, Ge(1)]


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """The same for all trials of a suite, so that their numbers can stand in one table.

    Quality is computed from all queries; only the clock looks at a sample of them.

    Attributes:
        n_latency_queries: queries whose single-query latency is measured, at least 1; all of them
            if there are fewer.
        n_passes: passes over these queries, at least 1; every sample is kept.
        n_warmup: calls before each pass that are not measured, at least 0.
        batch_sizes: queries per call of a batch search, each at least 1; all queries if there are fewer.
        clients: numbers of clients that ask at the same time, each with one query after the other;
            empty measures none.
        clients_as: what clients are: "threads" of one process that share the index, "processes" forked
            from it, or both.
        max_disturbance: share of a pass's time, 0 to 1, that other programs may take from the core it
            runs on before it is measured once more.
        n_repeats: passes per trial that may be measured once more for this reason, at least 0.
        check_saved: whether every index is saved and loaded by a fresh process, which must answer the
            same; it also tells what loading takes.
        timeout_seconds: limit of each build, of each search of all queries and of each pass, above 0;
            then the worker is ended.
        memory_limit_bytes: memory that a worker may allocate, inputs not counted; 0 for no limit.
        seed: of the sample of queries and of their order in each pass.
    """

    n_latency_queries: Count = 200
    n_passes: Count = 3
    n_warmup: Annotated[int, Ge(0)] = 20
    batch_sizes: Annotated[tuple[Count, ...], MinLen(1)] = (1000,)
    clients: tuple[Count, ...] = ()
    clients_as: Annotated[tuple[Literal["threads", "processes"], ...], MinLen(1)] = ("threads",)
    max_disturbance: Annotated[float, Ge(0), Le(1)] = 0.1
    n_repeats: Annotated[int, Ge(0)] = 3
    check_saved: bool = True
    timeout_seconds: Annotated[float, Gt(0)] = 600.0
    memory_limit_bytes: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        """Turn lists, as JSON has them, into tuples."""
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
