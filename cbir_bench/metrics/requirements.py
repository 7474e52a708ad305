"""What a metric needs of a ranking, and the sentence it refuses with where that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.errors import UndefinedMetricError

if TYPE_CHECKING:
    from cbir_bench.core.ranking import PositiveRanks


def need_cutoff(metric: str, positives: PositiveRanks, k: int | None) -> int:
    """Return ``k``, refused where it is missing or deeper than the ranking.

    Raises:
        UndefinedMetricError: if ``k`` is None, below 1 or more than ``positives.depth``.
    """
    if k is None:
        raise UndefinedMetricError(
            f"{metric} needs a cutoff in ranks. Write it after an @, for example {metric}@10."
        )
    if k < 1:
        raise UndefinedMetricError(f"{metric}@{k} has no ranks to look at. Set k to 1 or more.")
    if positives.depth is not None and k > positives.depth:
        raise UndefinedMetricError(
            f"{metric}@{k} needs {k} ranks but the ranking has {positives.depth}. "
            f"Set k = {k} or more in the suite's [search] table."
        )
    return k


def need_complete(metric: str, positives: PositiveRanks) -> None:
    """Refuse rankings that were cut.

    Raises:
        UndefinedMetricError: unless the ranking is complete.
    """
    if positives.depth is not None:
        raise UndefinedMetricError(
            f"{metric} needs the ranks of all relevant items but the ranking was cut at "
            f"{positives.depth}: exact search only. Use {metric}@{positives.depth} instead."
        )


def need_first_r(metric: str, positives: PositiveRanks, k: int | None) -> None:
    """Refuse a cutoff, and rankings shallower than the number of relevant items R of any query.

    Raises:
        UndefinedMetricError: if ``k`` is given, or the largest R is more than ``positives.depth``.
    """
    if k is not None:
        raise UndefinedMetricError(
            f"{metric} takes no cutoff: it looks at as many ranks as a query has relevant items. "
            f"Write {metric}."
        )
    deepest = int(np.max(positives.n_relevant, initial=0))
    if positives.depth is not None and deepest > positives.depth:
        raise UndefinedMetricError(
            f"{metric} needs R ranks of a query with R relevant items, up to R = {deepest} here, but "
            f"the ranking has {positives.depth}. Set k = {deepest} or more in the suite's [search] "
            f"table, or use ap@{positives.depth}."
        )
