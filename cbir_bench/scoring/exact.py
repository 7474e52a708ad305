"""Exact search: every metric, and curves, of complete rankings in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.complete import complete_blocks
from cbir_bench.metrics.curves import cmc_curve, precision_recall_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.ranking import PositiveRanks
    from cbir_bench.metrics.complete import Device
    from cbir_bench.metrics.curves import Curve
    from cbir_bench.metrics.names import MetricName
    from cbir_bench.metrics.similarity import Similarities

CMC_RANKS: Final = 100


class MeanCurve(NamedTuple):
    """A curve averaged over the queries that have anything relevant.

    Attributes:
        x: ``(n_points,)`` ranks from 1, or recalls from 0 to 1.
        y: ``(n_points,)`` in [0, 1].
    """

    x: Scores
    y: Scores


class Exact(NamedTuple):
    """What one pass over the rankings gives.

    Attributes:
        quotients: of every query, by metric.
        curves: by name; empty unless they were asked for.
    """

    quotients: dict[str, Quotients]
    curves: dict[str, MeanCurve]


def search_exactly(
    names: Sequence[MetricName],
    similarities: Similarities,
    truth: GroundTruth,
    *,
    curves: bool = False,
    device: Device = "auto",
    on_progress: Callable[[float], None] | None = None,
) -> Exact:
    """Return metrics of the complete rankings of exact search, which are never stored.

    Args:
        names: metrics of relevant items.
        similarities: of the queries and the base of ``truth``.
        truth: who is relevant to whom.
        curves: whether to compute the CMC and precision-recall curves.
        device: what counts; the numbers are the same.
        on_progress: called now and then with the share that is done.
    """
    sums = _CurveSums(n_ranks=min(CMC_RANKS, len(truth.base_rows) - truth.leave_one_out))
    parts: list[list[Quotients]] = []
    blocks = complete_blocks(similarities, truth, device=device, on_progress=on_progress)
    for positives in blocks:
        parts.append([name.quotients(positives) for name in names])
        if curves:
            sums.add(positives)
    joined = [
        Quotients(*(np.concatenate(side) for side in zip(*column, strict=True)))
        for column in zip(*parts, strict=True)
    ]
    found = {str(name): one for name, one in zip(names, joined, strict=True)}
    return Exact(quotients=found, curves=sums.means() if curves else {})


@dataclass(slots=True, kw_only=True)
class _CurveSums:
    """Sums of curves over the queries so far."""

    n_ranks: int
    n_queries: int = 0
    _sums: dict[str, Scores] = field(default_factory=dict)
    _x: dict[str, Scores] = field(default_factory=dict)

    def add(self, positives: PositiveRanks) -> None:
        """Add the curves of some queries; those with nothing relevant have none."""
        n = int(np.count_nonzero(positives.n_relevant))
        if not n:
            return
        self.n_queries += n
        self._add("cmc", cmc_curve(positives, self.n_ranks), n)
        levels: tuple[Literal[11, 101], ...] = (11, 101)
        for n_levels in levels:
            curve = precision_recall_curve(positives, n_levels)
            self._add(f"precision_recall_{n_levels}", curve, n)

    def _add(self, name: str, curve: Curve, n: int) -> None:
        self._x[name] = curve.x
        self._sums[name] = self._sums.get(name, 0.0) + curve.mean * n

    def means(self) -> dict[str, MeanCurve]:
        return {
            name: MeanCurve(self._x[name], self._sums[name] / self.n_queries) for name in self._sums
        }
