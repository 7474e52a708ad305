"""The Pareto frontier of quality against speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frontier(quality: Any, speed: Any) -> NDArray[np.bool_]:
    """Return True for every point that no other beats: at least as good in both, better in one.

    Equal points are all on the frontier or all off it; a point with NaN never is.

    Args:
        quality: ``(n,)``, higher is better.
        speed: ``(n,)``, higher is better.
    """
    q, s = np.asarray(quality, float), np.asarray(speed, float)
    optimal = np.zeros(len(q), bool)
    rows = np.flatnonzero(np.isfinite(q) & np.isfinite(s))
    order = rows[np.lexsort((-q[rows], -s[rows]))]
    if not len(order):
        return optimal
    q, s = q[order], s[order]
    first = np.concatenate([[True], s[1:] < s[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(q)), 0))
    best_so_far = np.concatenate([[-np.inf], np.maximum.accumulate(q)])
    optimal[order] = (q == q[start]) & (q > best_so_far[start])
    return optimal
