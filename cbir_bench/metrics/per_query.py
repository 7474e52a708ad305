"""Sums over each query's positives, without a loop over queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbir_bench.core.metric import Quotients

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.ranking import PositiveRanks


def query_of(positives: PositiveRanks) -> NDArray[np.int64]:
    """Return ``(n_found,)`` the query that each rank belongs to."""
    return np.repeat(np.arange(len(positives)), np.diff(positives.starts))


def place_of(positives: PositiveRanks) -> NDArray[np.int64]:
    """Return ``(n_found,)`` the place of each rank among its query's, from 1: hits up to that rank."""
    first = np.repeat(positives.starts[:-1], np.diff(positives.starts))
    return np.arange(1, len(positives.ranks) + 1) - first


def sum_per_query(positives: PositiveRanks, values: NDArray[Any]) -> Scores:
    """Return ``(n_queries,)`` the sum of ``(n_found,)`` values over each query's positives.

    Added in the order of the ranks, one after the other, so that equal terms have equal sums whatever
    the other queries are.
    """
    queries = query_of(positives)
    return np.asarray(np.bincount(queries, weights=values, minlength=len(positives)), np.float64)


def divided(values: Scores, by: NDArray[Any] | int, positives: PositiveRanks) -> Quotients:
    """Return ``values / by``, and 0 / 0 where a query has nothing relevant."""
    defined = positives.n_relevant > 0
    return Quotients(
        numerator=np.where(defined, values, 0.0), denominator=np.where(defined, by, 0.0)
    )
