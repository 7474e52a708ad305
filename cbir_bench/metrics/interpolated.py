"""Interpolated average precision. Salton and McGill, 1983; Manning et al., 2008, section 8.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, n_found, place_of
from cbir_bench.metrics.requirements import need_complete, need_no_cutoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("ap_11pt")
def average_precision_11_points(positives: PositiveRanks, k: int | None) -> Quotients:
    """Mean over the recalls 0, .1, ..., 1 of the best precision at that recall or any above it.

    trec_eval's ``11pt_avg``; per class of objects, the AP of Pascal VOC up to 2009.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> average_precision_11_points(
    ...     PositiveRanks.from_hits(hits, np.array([2])).completed(), None
    ... ).scores.round(3)
    array([0.848])
    """
    return _mean_of_levels("ap_11pt", positives, k, 11)


@METRICS.register("ap_101pt")
def average_precision_101_points(positives: PositiveRanks, k: int | None) -> Quotients:
    """``ap_11pt`` over the recalls 0, .01, ..., 1; per class of objects, the AP of COCO.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> average_precision_101_points(
    ...     PositiveRanks.from_hits(hits, np.array([2])).completed(), None
    ... ).scores.round(3)
    array([0.835])
    """
    return _mean_of_levels("ap_101pt", positives, k, 101)


def _mean_of_levels(
    metric: str, positives: PositiveRanks, k: int | None, n_levels: int
) -> Quotients:
    need_no_cutoff(metric, k, "its levels of recall reach to the last relevant item")
    need_complete(metric, positives, instead="ap")
    total = interpolated_precisions(positives, n_levels).sum(axis=1)
    return divided(total, n_levels, positives)


def interpolated_precisions(positives: PositiveRanks, n_levels: int) -> NDArray[np.float64]:
    """Return ``(n_queries, n_levels)`` the best precision at each recall or above; 0 where R = 0.

    Levels are compared with recalls as whole numbers: hits * (n_levels - 1) >= level * R. Three hits of
    ten reach the recall .3, although .3 in steps of .1 is above .3 in floating point.

    Args:
        positives: complete ranks.
        n_levels: how many recalls, evenly spaced from 0 to 1.
    """
    steps = n_levels - 1
    first = -(-positives.n_relevant[:, None] * np.arange(n_levels) // steps).clip(max=-1)
    reached = first <= n_found(positives)[:, None]
    begins = np.where(reached, positives.starts[:-1, None] + first - 1, positives.starts[1:, None])
    # The best of the hits from each level to the next, and one 0 for what begins after the last hit.
    precisions = np.append(place_of(positives) / positives.ranks, 0.0)
    best = np.maximum.reduceat(precisions, begins.ravel()) if len(positives) else np.empty(0)
    best = np.where(reached, best.reshape(begins.shape), 0.0)
    return np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]
