"""A planted mistake is really there, and nothing else passes for one that was noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted.planting import FAILED, PASSED, Mistake, check_noticed

TESTS, CHOSEN = "unit/metrics/test_names.py", "neighbours_see_neighbours"
MISTAKE = Mistake(
    "metrics of neighbours are told by their name",
    "metrics/names.py",
    '_NEIGHBOURS: Final = "knn_"',
    '_NEIGHBOURS: Final = "ann_"',
    TESTS,
    CHOSEN,
)


def test_the_change_alone_makes_the_difference(runner):
    """Before it and after it the same tests pass: each copy has a package of its own."""
    codes = [runner.outcome(change, TESTS, CHOSEN).code for change in (None, MISTAKE.change, None)]

    assert codes == [PASSED, FAILED, PASSED]


@pytest.mark.parametrize(
    "change",
    [
        {"after": '_NEIGHBOURS: Final = "knn"'},
        {"chosen": "no_test_at_all"},
        {"after": "_NEIGHBOURS: Final = ("},
        {"file": "report/pareto.py", "before": "import numpy as np", "after": "pass"},
    ],
    ids=["harmless", "no test", "no Python", "not imported"],
)
def test_what_no_test_fails_for_is_not_noticed(change, runner):
    """Neither a package that cannot be imported nor a line that nobody looks at proves anything."""
    with pytest.raises(AssertionError):
        check_noticed(replace(MISTAKE, **change), runner)


@pytest.mark.parametrize("before", ["no such text", "import"])
def test_a_text_that_is_not_there_once_has_to_be_looked_up_again(before, runner):
    """The package has changed since the mistake was written down."""
    with pytest.raises(AssertionError, match="update the list"):
        check_noticed(replace(MISTAKE, before=before), runner)
