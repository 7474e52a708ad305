"""Planted mistakes in who is relevant to whom, and in neighbours: each makes a test fail."""

from __future__ import annotations

import pytest
from planted.checks import check_noticed, check_passes, name_of
from planted.mistakes import RELEVANCE


def test_without_a_mistake_the_tests_pass():
    """Or all that follows would mean nothing."""
    check_passes(RELEVANCE)


@pytest.mark.parametrize("mistake", RELEVANCE, ids=name_of)
def test_a_mistake_is_noticed(mistake):
    """By the tests that are there for it."""
    check_noticed(mistake)
