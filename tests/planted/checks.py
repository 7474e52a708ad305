"""What every file of planted mistakes asks of each of them."""

from __future__ import annotations

from planted.planting import FAILED, PACKAGE, PASSED, Mistake, outcome


def check_noticed(mistake: Mistake) -> None:
    """The line is there, once, and the tests that have to notice the mistake do."""
    text = (PACKAGE / mistake.file).read_text(encoding="utf-8")

    assert text.count(mistake.before) == 1, f"{mistake.file} has changed: update the list"
    assert mistake.before != mistake.after
    assert outcome(mistake, mistake.tests, mistake.chosen) == FAILED


def check_passes(mistakes: list[Mistake]) -> None:
    """Without a mistake the same tests pass: otherwise nothing would have been noticed."""
    for tests in dict.fromkeys(one.tests for one in mistakes):
        chosen = dict.fromkeys(one.chosen for one in mistakes if one.tests == tests)
        every = "" if "" in chosen else " or ".join(f"({one})" for one in chosen)
        assert outcome(None, tests, every) == PASSED, f"{tests} -k {every!r}"


def name_of(mistake: Mistake) -> str:
    """Return what a report calls it."""
    return f"{mistake.file}: {mistake.after.strip().splitlines()[0][:60]}"
