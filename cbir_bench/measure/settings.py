"""How a trial is measured; part of its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """The same for all trials of a suite, so that their numbers can stand in one table.

    Quality is computed from all queries; only the clock looks at a sample of them.

    Attributes:
        n_latency_queries: queries whose single-query latency is measured, at least 1; all of them
            if there are fewer.
        n_passes: passes over these queries, at least 1; every sample is kept.
        n_warmup: calls before the first pass that are not measured, at least 0.
        batch_size: queries of one batch search, at least 1; all of them if there are fewer.
        timeout_seconds: limit of each build and of each trial, above 0; then the worker is ended.
        memory_limit_bytes: memory that a worker may allocate, inputs not counted; 0 for no limit.
        seed: of the sample of queries and of their order in each pass.
    """

    n_latency_queries: Annotated[int, Ge(1)] = 200
    n_passes: Annotated[int, Ge(1)] = 3
    n_warmup: Annotated[int, Ge(0)] = 20
    batch_size: Annotated[int, Ge(1)] = 1000
    timeout_seconds: Annotated[float, Gt(0)] = 600.0
    memory_limit_bytes: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0)] = 0
