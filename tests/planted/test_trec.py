"""Mistakes that people make with TREC files: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.planting import Mistake, check_noticed, check_passes, promise

TREC_TESTS = "unit/scoring/test_trec.py"

TREC = "scoring/trec.py"
HELD = "scoring/held.py"

MISTAKES = [
    Mistake(
        "the order of a run is that of falling scores",
        TREC,
        "order = np.lexsort((-score, query))",
        "order = np.lexsort((score, query))",
        TREC_TESTS,
        "order_is_that_of_scores",
    ),
    Mistake(
        "the order of a run is that of scores, not of lines",
        TREC,
        "order = np.lexsort((-score, query))",
        "order = np.argsort(query, kind='stable')",
        TREC_TESTS,
        "order_is_that_of_scores",
    ),
    Mistake(
        "equal scores of a run are in the order of names, ascending",
        TREC,
        "np.lexsort((documents.ascending()[document[rows]], -score[rows], query[rows]))",
        "np.lexsort((-documents.ascending()[document[rows]], -score[rows], query[rows]))",
        TREC_TESTS,
        "ties_go_by_name",
    ),
    Mistake(
        "equal scores of a run are not in the order of lines",
        TREC,
        "if tied.any():",
        "if False:",
        TREC_TESTS,
        "ties_go_by_name",
    ),
    Mistake(
        "what was judged with a gain of 0 or less is not relevant",
        HELD,
        "kept = (judged.gain > 0) & (document != NO_ITEM)",
        "kept = document != NO_ITEM",
        TREC_TESTS,
        "not_above_zero",
    ),
    Mistake(
        "the grades of judgements have what the run has not found",
        HELD,
        "judged.query[relevant], judged.gain[relevant].astype(np.float64), n_queries",
        "judged.query[relevant][:1], judged.gain[relevant][:1].astype(np.float64), n_queries",
        TREC_TESTS,
        "not_above_zero",
    ),
    Mistake(
        "scores that are written out still differ in float32",
        "scoring/export.py",
        "numbers = np.minimum.accumulate(numbers + steps, axis=1) - steps",
        "numbers = np.minimum.accumulate(numbers, axis=1)",
        TREC_TESTS,
        "scores_fall_in_float32",
    ),
]


def test_without_a_mistake_the_tests_pass(runner):
    """Otherwise nothing would have been noticed."""
    check_passes(MISTAKES, runner)


@pytest.mark.parametrize("mistake", MISTAKES, ids=promise)
def test_a_mistake_is_noticed(mistake, runner):
    """By the tests that are there for it."""
    check_noticed(mistake, runner)
