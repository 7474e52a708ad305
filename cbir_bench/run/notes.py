"""What a user should know before the numbers: said by `plan`, and by `run` before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics.names import MetricName
from cbir_bench.protocols.summary import group_note, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.protocols.summary import TruthSummary
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
    yield from (("", note) for note in _other_spaces(opened, plan))
    if opened.data.groups is not None:
        yield "", group_note(opened.data.groups[opened.data.rows(Split.TEST)])
    if any(artefact.training is not None for artefact in plan.artefacts):
        yield from (("", note) for note in _seen_in_training(opened))
    for protocol, truth in opened.truths.items():
        size = summarise(truth)
        for note in [*size.notes(), *_undefined(truth, plan), *_shortened(truth, size, plan)]:
            yield f", {protocol}", note


def _other_spaces(opened: Opened, plan: Plan) -> Iterator[str]:
    """Yield where a suite searches by another similarity than the data set was made for."""
    meant = opened.data.space
    others = [space for space in plan.suite.spaces if meant is not None and space != meant]
    if others:
        yield (
            f"it was made for the space {meant!r}, and the suite searches {', '.join(map(repr, others))}, "
            f"where other vectors are near. Set [search] space = {meant!r} to compare with others' results."
        )


def _seen_in_training(opened: Opened) -> Iterator[str]:
    """Yield how many classes of the test split a model that is trained here has seen."""
    data = opened.data
    train, test = (
        np.unique(data.labels.take(data.rows(split)).codes) for split in (Split.TRAIN, Split.TEST)
    )
    n_seen = len(np.intersect1d(train, test))
    if n_seen:
        yield (
            f"{n_seen} of {len(test)} classes of the test split are in the training split, too: models that "
            "are trained here know them, which new classes would not be."
        )


def _undefined(truth: GroundTruth, plan: Plan) -> Iterator[str]:
    """Yield why a metric will have a value under exact search only."""
    yield from _refusals(truth, plan, min(plan.suite.ks)).values()


def _shortened(truth: GroundTruth, size: TruthSummary, plan: Plan) -> Iterator[str]:
    """Yield which metrics may lose their value to junk that is found and removed."""
    least = min(plan.suite.ks)
    if not size.most_junk or least >= size.n_base:
        return
    left = max(0, least - size.most_junk)
    names = _refusals(truth, plan, left).keys() - _refusals(truth, plan, least).keys()
    if names:
        shown = ", ".join(name for name in plan.suite.metrics if name in names)
        enough = min(least + size.most_junk, size.n_base - truth.leave_one_out)
        yield (
            f"{shown} may have no value: rankings of k = {least} results lose up to {size.most_junk} of them "
            f"to junk. Set k = {enough} or more in the suite's [search] table."
        )


def _refusals(truth: GroundTruth, plan: Plan, depth: int) -> dict[str, str]:
    """Return why metrics have no value where all rankings are of some depth, by name."""
    nothing_found = PositiveRanks(
        ranks=np.empty(0, np.int64),
        starts=np.zeros(len(truth.n_relevant) + 1, np.int64),
        n_relevant=truth.n_relevant,
        depth=depth,
    )
    reasons: dict[str, str] = {}
    for name in map(MetricName.parse, plan.suite.metrics):
        if name.of_neighbours or str(name) == "ap":
            continue  # everybody expects ap to need the complete ranking; the report says so, too
        try:
            name.scores(nothing_found)
        except UndefinedMetricError as error:
            reasons[str(name)] = str(error)
    return reasons
