"""Environment, warnings and failures in a few lines, however many trials there are."""

from __future__ import annotations

import pytest
from unit.report.synthetic import METRICS, Point, changed, failed, record_of

from cbir_bench.records.frame import to_frame
from cbir_bench.report.problems import (
    environment_table,
    failures_table,
    skipped_table,
    warnings_table,
)


def value_of(*environments: dict) -> str:
    records = [
        changed(record_of(Point(k=10 + i)), environment=one) for i, one in enumerate(environments)
    ]
    lines = environment_table(to_frame(records, METRICS)).splitlines()
    assert len(lines) == 3
    return lines[2].split(" | ", 1)[1].strip(" |")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["Linux", "Linux"], "Linux"),
        (["a|b", "c"], "a\\|b; c"),
        ([3, 1, 2], "1 to 3"),
        ([[0.5, 1.5], [0.7, 1.5]], "0.5 to 0.7, 1.5"),
        ([["avx", "fma"], ["avx", "fma"]], "avx, fma"),
        ([None, None], "–"),  # noqa: RUF001
        ([[], []], "–"),  # noqa: RUF001
        (list("abcdef"), "a; b; c; d; ..."),
        ([None, 1], "–; 1"),  # noqa: RUF001
    ],
)
def test_what_varies_is_shown_as_a_range(values: list, expected: str) -> None:
    """One line for each fact: times are comparable only where these agree."""
    assert value_of(*({"fact": value} for value in values)) == expected


def test_bytes_have_a_unit() -> None:
    """Nobody reads 25276514304."""
    assert value_of({"memory_bytes": 25_276_514_304}) == "23.5 GiB"


def test_the_most_frequent_warning_comes_first() -> None:
    """It concerns the most numbers."""
    records = [
        changed(record_of(Point(k=10 + i)), warnings=("rare",) * (i == 0) + ("often",))
        for i in range(3)
    ]

    lines = warnings_table(to_frame(records, METRICS)).splitlines()[2:]

    assert [line.split("|")[2].strip() for line in lines] == ["often", "rare"]
    assert warnings_table(to_frame(records[:0], METRICS)) == ""


def test_warnings_that_differ_in_numbers_alone_are_one() -> None:
    """A busy machine disturbs every trial by another share."""
    records = [
        changed(record_of(Point(k=10 + i)), warnings=(f"Disturbed {i + 1} of 3 (4{i} %).",))
        for i in range(3)
    ]

    lines = warnings_table(to_frame(records, METRICS)).splitlines()[2:]

    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells == [["3", "Disturbed 1 of 3 (40 %)."]]


def test_a_trial_counts_once_for_a_warning() -> None:
    """The column counts trials."""
    record = changed(record_of(Point()), warnings=("Found 1 of 2.", "Found 2 of 3."))

    (line,) = warnings_table(to_frame([record], METRICS)).splitlines()[2:]

    assert line.split("|")[1].strip() == "1"


def test_what_was_left_out_is_no_failure() -> None:
    """Somebody who stops early on purpose, or lacks a library, has nothing to repair."""
    missing = "The index 'svs' needs scalable-vs. Install it with pip install scalable-vs."
    records = [
        *(failed(Point(value=v), "skipped", f"The cheaper one finds 0.9{v}.") for v in (1, 2)),
        failed(Point(k=7), "skipped", missing),
        failed(Point(k=8), "timeout", "Too slow."),
    ]
    frame = to_frame(records, METRICS)

    left_out, failures = skipped_table(frame), failures_table(frame)

    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in left_out.splitlines()]
    assert [(row[0], row[2]) for row in rows[2:]] == [
        ("2", "The cheaper one finds 0.91."),
        ("1", missing),
    ]
    assert "Too slow." in failures
    assert "skipped" not in failures
    assert len(failures.splitlines()) == 3
