"""What a user should know before the numbers: said by `plan`, and by `run` before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.names import MetricName
from cbir_bench.protocols.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.run.plan import Opened, Plan


def data_notes(plan: Plan) -> list[str]:
    """Return a sentence for everything that could surprise a reader of a plan's results."""
    return [
        f"{opened.data.name}{where}: {note}"
        for opened in plan.opened
        for where, note in _notes(opened, plan)
    ]


def _notes(opened: Opened, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield where in a data set something is to be known (empty for all of it), and what."""
    for note in opened.data.notes:
        yield "", note
    for protocol, truth in opened.truths.items():
        for note in [*summarise(truth).notes(), *_undefined(truth, plan)]:
            yield f", {protocol}", note


def _undefined(truth: GroundTruth, plan: Plan) -> Iterator[str]:
    """Yield why a metric will have a value under exact search only."""
    nothing_found = PositiveRanks(
        ranks=np.empty(0, np.int64),
        starts=np.zeros(len(truth.n_relevant) + 1, np.int64),
        n_relevant=truth.n_relevant,
        depth=min(plan.suite.ks),
    )
    for name in map(MetricName.parse, plan.suite.metrics):
        if name.of_neighbours or name.metric == "ap":
            continue  # everybody expects ap to need the complete ranking; the report says so, too
        try:
            name.scores(nothing_found)
        except UndefinedMetricError as error:
            yield str(error)
