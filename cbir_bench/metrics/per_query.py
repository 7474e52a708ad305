"""Sums over each query's positives, without a loop over queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbir_bench.core.metric import Quotients

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.ranking import Grades, PositiveRanks


def query_of(rows: PositiveRanks | Grades) -> NDArray[np.int64]:
    """Return ``(n_found,)`` the query that each rank, or each gain, belongs to."""
    return np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts))


def place_of(rows: PositiveRanks | Grades) -> NDArray[np.int64]:
    """Return ``(n_found,)`` the place of each rank among its query's, from 1: hits up to that rank."""
    first = np.repeat(rows.starts[:-1], np.diff(rows.starts))
    return np.arange(1, len(first) + 1) - first


def n_found(positives: PositiveRanks) -> NDArray[np.int64]:
    """Return ``(n_queries,)`` how many relevant items have a rank."""
    return np.diff(positives.starts)


def last_rank(positives: PositiveRanks) -> NDArray[np.int64]:
    """Return ``(n_queries,)`` the rank of the last relevant item with a rank; 0 where none has one."""
    last = np.zeros(len(positives), np.int64)
    some = n_found(positives) > 0
    last[some] = positives.ranks[positives.starts[1:][some] - 1]
    return last


def sum_per_query(rows: PositiveRanks | Grades, values: NDArray[Any]) -> Scores:
    """Return ``(n_queries,)`` the sum of ``(n_found,)`` values over each query's positives.

    Added in the order of the ranks, one after the other, so that equal terms have equal sums whatever
    the other queries are.
    """
    n_queries = len(rows.starts) - 1
    return np.asarray(np.bincount(query_of(rows), weights=values, minlength=n_queries), np.float64)


def divided(values: Scores, by: NDArray[Any] | int, positives: PositiveRanks) -> Quotients:
    """Return ``values / by``, and 0 / 0 where a query has nothing relevant."""
    defined = positives.n_relevant > 0
    return Quotients(
        numerator=np.where(defined, values, 0.0), denominator=np.where(defined, by, 0.0)
    )
