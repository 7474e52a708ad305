"""Builds that do not repeat themselves are one point, with its spread told."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from unit.report.synthetic import HNSWLIB, METRICS, SWEEPS, Point, changed, record_of

from cbir_bench.core.record import MetricValue, Record
from cbir_bench.records.frame import to_frame
from cbir_bench.report.choice import Section, sections
from cbir_bench.report.replicates import IDENTITY, MOST_ROWS, one_of_each, replicates_table
from cbir_bench.report.write import csv_files

SCANN = SWEEPS[-1]


def built(replicate: int, quality: float, *, value: int = 0, p50_us: float = 50.0) -> Record:
    record = record_of(Point(sweep=SCANN, value=value, replicate=replicate))
    mean = MetricValue(mean=quality, low=quality, high=quality, n_queries=10)
    latency = replace(record.latency, p50_us=p50_us, qps=1e6 / p50_us)
    return changed(record, metrics={"map_at_r": mean, "knn_recall@10": mean}, latency=latency)


def section_of(*records: Record) -> Section:
    return sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]


@pytest.mark.parametrize(
    ("qualities", "middle"),
    [((0.5, 0.9, 0.6), 0.6), ((0.9, 0.5), 0.5), ((0.9, 0.5, 0.6, 0.8), 0.6), ((0.7,), 0.7)],
)
def test_the_replicate_in_the_middle_stands_for_all(
    qualities: tuple[float, ...], middle: float
) -> None:
    """The best of five lucky draws would flatter a library that needs luck."""
    records = [built(i, quality) for i, quality in enumerate(qualities)]

    actual = section_of(*records, record_of(Point(sweep=HNSWLIB)))

    scann = actual.points[actual.points["index_use"] == "scann"]
    assert scann["map_at_r"].tolist() == [middle]
    assert len(actual.replicates) == len(qualities) + 1


def test_search_settings_whose_middles_differ_share_a_build() -> None:
    """A curve in a figure is a build; it must not fall apart into points."""
    records = [built(i, q, value=0) for i, q in enumerate((0.5, 0.6, 0.7))]
    records += [built(i, q, value=1) for i, q in enumerate((0.8, 0.9, 0.7))]

    actual = one_of_each(to_frame(records, METRICS), "map_at_r")

    assert actual["map_at_r"].tolist() == [0.6, 0.8]
    assert actual["replicate"].tolist() == [1, 0]
    assert len(actual["build_key"].unique()) == 1


def test_points_that_differ_in_anything_else_stay_apart() -> None:
    """A column that is forgotten would merge two systems into one."""
    changes = {
        "dataset": "other",
        "protocol": "full-base",
        "model": "vit-cls",
        "quantizer": "int8",
        "reranker": "alpha-qe",
        "space": "ip",
        "k": 7,
    }
    points = [
        Point(sweep=SCANN),
        *(replace(Point(sweep=SCANN), **{n: v}) for n, v in changes.items()),
    ]
    points += [Point(sweep=SCANN, value=1), Point(sweep=SCANN, replicate=1)]

    frame = to_frame([record_of(point) for point in points], METRICS)
    actual = one_of_each(frame, "map_at_r")

    assert len(actual) == len(points) - 1
    assert set(changes) < set(IDENTITY)


def test_the_spread_is_told_from_least_to_largest() -> None:
    """A difference between libraries that is smaller than it means nothing."""
    section = section_of(
        built(0, 0.912, p50_us=65), built(1, 0.934, p50_us=60), record_of(Point(sweep=HNSWLIB))
    )

    rows = replicates_table(section).splitlines()[2:]

    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert len(rows) == 1
    assert cells[1:5] == ["2", "0.912 to 0.934", "0.912 to 0.934", "60.0 µs to 65.0 µs"]
    assert replicates_table(section_of(built(0, 0.5))) == ""


def test_a_long_table_keeps_what_is_optimal() -> None:
    """The best points are those that somebody will choose."""
    records = [
        changed(
            built(i, 0.1 + 0.01 * k, p50_us=50 if k == 5 else 500 - k),
            trial=replace(Point(sweep=SCANN, replicate=i).trial(), k=k),
        )
        for k in range(1, MOST_ROWS + 6)
        for i in (0, 1)
    ]
    section = section_of(*records)

    rows, note = replicates_table(section).split("\n\n")

    shown = [line.split("|")[2].strip() for line in rows.splitlines()[2:]]
    assert len(shown) == MOST_ROWS
    assert {"5", str(MOST_ROWS + 5)} <= set(shown)
    assert note == "5 more are in operating_points.csv, a row per build."


def test_the_csv_file_has_a_row_per_build(tmp_path) -> None:
    """Whoever computes a spread of another kind needs every value."""
    section = section_of(built(0, 0.5), built(1, 0.6), built(2, 0.7))
    (tmp_path / "points.csv").write_text(
        csv_files(section.replicates, [section])["operating_points.csv"], encoding="utf-8"
    )

    actual = pd.read_csv(tmp_path / "points.csv").sort_values("replicate")

    assert actual["map_at_r"].tolist() == [0.5, 0.6, 0.7]
    assert actual["in_tables"].tolist() == [False, True, False]
    assert actual["pareto"].tolist() == [False, True, False]
    assert len(actual["build_key"].unique()) == 3
