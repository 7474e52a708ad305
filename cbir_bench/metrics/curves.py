"""Curves: how a metric goes with the cutoff, and precision with recall; per query and averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from cbir_bench.metrics.interpolated import interpolated_precisions
from cbir_bench.metrics.per_query import n_found
from cbir_bench.metrics.requirements import need_complete, need_cutoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.ranking import PositiveRanks


class Curve(NamedTuple):
    """A curve of every query, and their mean.

    Attributes:
        x: ``(n_points,)`` ranks from 1, or recalls from 0 to 1.
        mean: ``(n_points,)`` mean over the queries that have anything relevant; NaN if none has.
        per_query: ``(n_queries, n_points)`` in [0, 1]; NaN where a query has nothing relevant.
    """

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    per_query: NDArray[np.float64]


def cmc_curve(positives: PositiveRanks, n: int) -> Curve:
    """Return the cumulative matching characteristic: ``hit_rate@k`` for each k from 1 to n.

    Gray, Brennan and Tao, 2007; the "rank-k accuracy" of person re-identification.

    Args:
        positives: ranks of the relevant items.
        n: the last cutoff.

    Raises:
        UndefinedMetricError: if the ranking is shallower than ``n``.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[False, True, True], [True, False, False]])
    >>> cmc_curve(PositiveRanks.from_hits(hits, np.array([2, 2])), 3).mean
    array([0.5, 1. , 1. ])
    """
    n = need_cutoff("hit_rate", positives, n)
    found = n_found(positives) > 0
    first = np.full(len(positives), np.inf)
    first[found] = positives.ranks[positives.starts[:-1][found]]
    cutoffs = np.arange(1, n + 1)
    return _averaged(cutoffs, (first[:, None] <= cutoffs).astype(np.float64), positives)


def precision_recall_curve(positives: PositiveRanks, levels: Literal[11, 101] = 11) -> Curve:
    """Return the interpolated precision at evenly spaced recalls from 0 to 1.

    The precision at a recall is the best at that recall or any above it, so that it never rises. The
    mean of a query's curve is its ``ap_11pt`` or ``ap_101pt``.

    Args:
        positives: complete ranks of the relevant items.
        levels: how many recalls.

    Raises:
        UndefinedMetricError: if the ranking was cut.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> curve = precision_recall_curve(PositiveRanks.from_hits(hits, np.array([2])).completed())
    >>> curve.mean.round(2)
    array([1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 0.67, 0.67, 0.67, 0.67, 0.67])
    """
    need_complete("The precision-recall curve", positives, instead="ap")
    recalls = np.arange(levels) / (levels - 1)
    return _averaged(recalls, interpolated_precisions(positives, levels), positives)


def _averaged(
    x: NDArray[np.float64] | NDArray[np.int64],
    per_query: NDArray[np.float64],
    positives: PositiveRanks,
) -> Curve:
    """Return the curve with its mean, in which queries with nothing relevant have no part."""
    defined = positives.n_relevant > 0
    per_query[~defined] = np.nan
    mean = per_query[defined].mean(axis=0) if defined.any() else np.full(len(x), np.nan)
    return Curve(x=np.asarray(x, np.float64), mean=mean, per_query=per_query)
