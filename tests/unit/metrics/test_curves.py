"""Curves per query and averaged."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import positives

from cbir_bench.core.errors import UndefinedMetricError
from cbir_bench.metrics.curves import cmc_curve, precision_recall_curve


def test_the_cumulative_matching_characteristic():
    """First hits at ranks 2 and 1, and none among the first three."""
    actual = cmc_curve(positives("0110", "1000", "0001"), 3)

    assert actual.x.tolist() == [1, 2, 3]
    assert actual.per_query.tolist() == [[0, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert actual.mean == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_precision_at_eleven_recalls():
    """Hits at ranks 1 and 4: precision 1 up to recall .5, and .5 beyond."""
    actual = precision_recall_curve(positives("1001", complete=True))

    assert actual.x == pytest.approx(np.linspace(0, 1, 11))
    assert actual.mean.tolist() == [1.0] * 6 + [0.5] * 5


def test_precision_never_rises_with_recall():
    """A dip is filled by the better precision below it: .6 at the fifth rank counts from the start."""
    actual = precision_recall_curve(positives("00111", complete=True), 101)

    assert actual.per_query.tolist() == [[0.6] * 101]


@pytest.mark.parametrize("curve", [lambda p: cmc_curve(p, 2), precision_recall_curve])
def test_queries_with_nothing_relevant_have_no_part_in_the_mean(curve):
    """They are NaN in their own row, wherever it is."""
    ranks = positives("00", "10", "00", n_relevant=[0, 1, 0], complete=True)

    actual = curve(ranks)

    assert np.isnan(actual.per_query).all(axis=1).tolist() == [True, False, True]
    assert actual.mean.tolist() == [1.0] * len(actual.x)


@pytest.mark.parametrize("curve", [lambda p: cmc_curve(p, 2), precision_recall_curve])
def test_nothing_to_average_is_nan(curve):
    """Without a warning of NumPy's."""
    actual = curve(positives("00", n_relevant=[0], complete=True))

    assert np.isnan(actual.mean).all()


def test_ranks_that_are_not_there_are_refused():
    """As for the metrics at these points."""
    with pytest.raises(
        UndefinedMetricError, match="hit_rate@3 needs 3 ranks but the ranking has 2"
    ):
        cmc_curve(positives("10"), 3)
    with pytest.raises(UndefinedMetricError, match="precision-recall curve needs the ranks of all"):
        precision_recall_curve(positives("10"))
