"""Builds: one row each, named by what their search settings share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.report.synthetic import (
    ANNOY,
    EXACT,
    HNSWLIB,
    METRICS,
    NULL,
    Point,
    Sweep,
    changed,
    failed,
    record_of,
)

from cbir_bench.records.frame import to_frame
from cbir_bench.report.builds import MOST_ROWS, build_name, builds_of, builds_table
from cbir_bench.report.choice import Section, sections


def section_of(*records) -> Section:
    return sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["hnswlib(m=16, ef_search=32)", "hnswlib(m=16, ef_search=64)"], "hnswlib(m=16)"),
        (["annoy(search_k=200)", "annoy(search_k=900)"], "annoy"),
        (["hnswlib(m=16, ef_search=32)"], "hnswlib(m=16, ef_search=32)"),
        (["exact"], "exact"),
        (
            [f"faiss(factory=IVF8,PQ4x4fs,Refine(SQfp16), nprobe={n})" for n in (1, 2)],
            "faiss(factory=IVF8,PQ4x4fs,Refine(SQfp16))",
        ),
        ([f"two leaves (SOAR) (leaves={n})" for n in (1, 2)], "two leaves (SOAR)"),
        (["mine (m=1, e=2)", "mine (m=1, e=3)"], "mine (m=1)"),
        (["slow(a=1)", "fast(a=1)"], "slow(a=1)"),
        (["odd)", "odd) 2"], "odd)"),
    ],
)
def test_a_build_is_named_by_what_its_search_settings_share(
    labels: list[str], expected: str
) -> None:
    """The name of one of its search settings would say that the others were built otherwise."""
    assert build_name(labels) == expected


def test_every_build_is_one_row() -> None:
    """Its costs are those of all its search settings, and paid once."""
    points = [
        Point(sweep=HNSWLIB, value=v, reranker=r) for v in range(3) for r in ("none", "alpha-qe")
    ]
    points += [Point(sweep=ANNOY), Point(sweep=ANNOY, replicate=1)]
    records = [record_of(point) for point in points]
    never_built = failed(Point(sweep=EXACT), "crashed", "Signal 11.")

    actual = builds_of(to_frame([*records, never_built], METRICS))

    names = ["hnswlib(m=16)", *["annoy(n_trees=50, search_k=500)"] * 2]
    assert actual["index"].tolist() == names
    assert actual["replicate"].tolist() == [0, 0, 1]
    assert actual["index_bytes"].tolist() == [records[i].build.index_bytes for i in (0, 6, 7)]


def test_a_build_whose_searches_failed_is_kept() -> None:
    """It was paid for all the same."""
    record = changed(
        failed(Point(sweep=ANNOY), "timeout", "Too slow."), build=record_of(Point()).build
    )

    assert len(builds_of(to_frame([record], METRICS))) == 1


def test_costs_and_answers_of_the_saved_index_are_told() -> None:
    """An index that answers otherwise once it is loaded is none to ship."""
    record = record_of(Point(sweep=HNSWLIB))
    build = replace(
        record.build,
        build_key="b",
        train_seconds=1.5,
        add_seconds=0.5,
        index_bytes=3 * 2**20,
        theoretical_bytes=2 * 2**20,
        loads_identically=False,
    )
    unknown = replace(build, build_key="a", theoretical_bytes=None, loads_identically=None)
    others = changed(record_of(Point(sweep=ANNOY)), build=unknown)

    section = section_of(changed(record, build=build), others, record_of(Point(sweep=NULL)))
    header, _, *rows = builds_table(section).splitlines()

    names, (first, second) = cells(header), map(cells, rows)
    told = dict(zip(names, first, strict=True))
    assert told["train"] == "1.50 s"
    assert told["add"] == "500 ms"
    assert told["saved"] == "3.00 MiB"
    assert told["/ theory"] == "1.50"
    assert told["same answers"] == "no"
    assert [second[names.index(name)] for name in ("/ theory", "same answers")] == ["–", "–"]  # noqa: RUF001


def test_of_many_builds_those_of_optimal_points_are_shown() -> None:
    """The main page stays readable; the CSV file has them all."""
    sweeps = [
        Sweep("hnswlib", {"m": m}, "ef_search", (100,), 100 + m, 0.02 + 0.001 * m, 1, 1)
        for m in range(MOST_ROWS)
    ]
    records = [record_of(Point(sweep=sweep)) for sweep in (*sweeps, EXACT)]

    rows, note = builds_table(section_of(*records)).split("\n\n")

    assert 2 <= len(rows.splitlines()) - 2 < 8
    assert "m=0," in rows
    assert f"all {MOST_ROWS + 1} are in builds.csv" in note


def test_only_what_was_built_several_times_is_numbered() -> None:
    """A zero beside an index that repeats itself would be a riddle."""
    points = [Point(sweep=EXACT), *(Point(sweep=ANNOY, replicate=i) for i in range(2))]

    header, _, *rows = builds_table(section_of(*map(record_of, points))).splitlines()

    place = cells(header).index("replicate")
    assert [cells(row)[place] for row in rows] == ["", "1 of 2", "2 of 2"]


def test_only_the_harness_has_no_table() -> None:
    """It builds nothing."""
    assert builds_table(section_of(record_of(Point(sweep=NULL)))) == ""


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
