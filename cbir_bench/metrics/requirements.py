"""What a metric needs of a ranking, and the sentence it refuses with where that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.errors import UndefinedMetricError

if TYPE_CHECKING:
    from cbir_bench.core.ranking import PositiveRanks

_MOST_GAIN: Final = 900
"""2 to its power can be summed over more items than there are."""


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
            f"{metric}@{k} needs {k} ranks but the ranking has {_depth(positives)}. "
            f"{_retrieve(k, positives)}."
        )
    return k


def need_no_cutoff(metric: str, k: int | None, because: str) -> None:
    """Refuse a cutoff where it would change nothing, or the metric would not be itself.

    Raises:
        UndefinedMetricError: if ``k`` is given.
    """
    if k is not None:
        raise UndefinedMetricError(f"{metric} takes no cutoff: {because}. Write {metric}.")


def need_complete(metric: str, positives: PositiveRanks, *, instead: str = "") -> None:
    """Refuse rankings that were cut.

    Args:
        metric: what to call it in the message.
        positives: ranks.
        instead: a metric that takes a cutoff, where this one does not.

    Raises:
        UndefinedMetricError: unless the ranking is complete.
    """
    if positives.depth is None:
        return
    alternative = f" Use {instead or metric}@{positives.depth} instead." if positives.depth else ""
    raise UndefinedMetricError(
        f"{metric} needs the ranks of all relevant items but the ranking was cut at "
        f"{positives.depth}: exact search only.{alternative}"
    )


def need_first_r(metric: str, positives: PositiveRanks, k: int | None) -> None:
    """Refuse a cutoff, and rankings shallower than the number of relevant items R of any query.

    Raises:
        UndefinedMetricError: if ``k`` is given, or the largest R is more than ``positives.depth``.
    """
    need_no_cutoff(metric, k, "it looks at as many ranks as a query has relevant items")
    deepest = int(np.max(positives.n_relevant, initial=0))
    if positives.depth is None or deepest <= positives.depth:
        return
    alternative = f", or use ap@{positives.depth}" if positives.depth else ""
    raise UndefinedMetricError(
        f"{metric} needs R ranks of a query with R relevant items, up to R = {deepest} here, but "
        f"the ranking has {_depth(positives)}. {_retrieve(deepest, positives)}{alternative}."
    )


def need_powers_of_gains(metric: str, positives: PositiveRanks) -> None:
    """Refuse gains that 2^gain takes beyond what numbers hold.

    Raises:
        UndefinedMetricError: if the highest gain is above ``_MOST_GAIN``.
    """
    highest = 0.0 if positives.grades is None else positives.grades.highest
    if highest > _MOST_GAIN:
        raise UndefinedMetricError(
            f"{metric} raises 2 to the power of gains, but the highest is {highest:g}. "
            f"Use ndcg, or gains up to {_MOST_GAIN}."
        )


def _depth(positives: PositiveRanks) -> str:
    """Return how many ranks there are, and why they are fewer than were retrieved."""
    if not positives.n_removed:
        return f"{positives.depth}"
    return f"{positives.depth} after junk and the query itself were removed"


def _retrieve(k: int, positives: PositiveRanks) -> str:
    """Return how to get ``k`` ranks; further junk may yet be among further results."""
    return f"Retrieve k = {k + positives.n_removed} or more results"
