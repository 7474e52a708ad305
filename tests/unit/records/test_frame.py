"""A run as a table: the planned trials, tidy columns, labels that tell settings apart."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from unit.report.synthetic import (
    ANNOY,
    EXACT,
    Point,
    changed,
    failed,
    record_of,
    setting,
    write_run,
)

from cbir_bench.core.errors import RecordError
from cbir_bench.core.record import Estimate, MetricValue
from cbir_bench.records.frame import read_run, to_frame
from cbir_bench.records.store import RecordStore


def test_a_row_holds_what_the_record_holds(tmp_path: Path) -> None:
    """Spot checks on every group of columns."""
    record = record_of(Point(sweep=EXACT))
    run = read_run(write_run(tmp_path / "demo", [record]))

    row = run.points.iloc[0]

    assert run.name == "demo"
    assert run.metrics == record.trial.metrics
    assert row["trial_id"] == record.trial.id
    assert (row["dataset"], row["model"], row["index_use"]) == ("products", "resnet-gem", "exact")
    assert row["map_at_r"] == record.metrics["map_at_r"].mean
    assert row["map_at_r.low"] == record.metrics["map_at_r"].low
    assert row["map_at_r.n_left_out"] == 12
    assert row["p99_us"] == record.latency.p99_us
    assert row["index_bytes"] == record.build.index_bytes
    assert row["environment"] == record.environment


def test_all_averages_of_a_metric_stand_side_by_side() -> None:
    """Each with its interval; one that there is none of is NaN."""
    value = MetricValue(
        mean=0.5,
        low=0.4,
        high=0.6,
        by_class=Estimate(value=0.3, low=0.2),
        micro=Estimate(value=0.7, low=0.65, high=0.75),
        n_queries=9,
        n_classes=4,
        n_left_out=1,
    )

    frame = to_frame([replace(record_of(Point()), metrics={"ap@2": value})], ["ap@2"])

    columns = [name for name in frame.columns if name.startswith("ap@2")]
    actual = frame.loc[0, columns].to_dict()
    assert actual == pytest.approx(
        {
            "ap@2": 0.5,
            "ap@2.low": 0.4,
            "ap@2.high": 0.6,
            "ap@2.by_class": 0.3,
            "ap@2.by_class.low": 0.2,
            "ap@2.by_class.high": math.nan,
            "ap@2.micro": 0.7,
            "ap@2.micro.low": 0.65,
            "ap@2.micro.high": 0.75,
            "ap@2.weighted": math.nan,
            "ap@2.weighted.low": math.nan,
            "ap@2.weighted.high": math.nan,
            "ap@2.n_queries": 9,
            "ap@2.n_classes": 4,
            "ap@2.n_left_out": 1,
            "ap@2.undefined": "",
        },
        nan_ok=True,
    )


def test_what_is_missing_is_nan_in_numeric_columns(tmp_path: Path) -> None:
    """A failure has no numbers, and a column of nothing is still a column of numbers."""
    run = read_run(write_run(tmp_path, [failed(Point(), "timeout", "Too slow.")]))

    for column in ("qps", "batch_qps", "build_seconds", "index_bytes", "map_at_r", "map_at_r.low"):
        assert run.points[column].dtype == float, column
        assert run.points[column].isna().all(), column
    assert run.points["map_at_r.undefined"].tolist() == ["not measured"]


def test_rows_follow_the_plan_and_records_outside_it_are_only_counted(tmp_path: Path) -> None:
    """A suite that was edited leaves records behind; they are kept but are no part of the run."""
    records = [record_of(Point(value=value)) for value in (2, 0, 1)]
    write_run(tmp_path, records, missing=2)
    RecordStore(tmp_path).write(record_of(Point(k=7)))

    run = read_run(tmp_path)

    assert run.points["trial_id"].tolist() == [record.trial.id for record in records]
    assert (run.n_planned, run.n_left_over) == (5, 1)


def test_an_empty_run_has_all_columns(tmp_path: Path) -> None:
    """Nobody who reads the table has to ask whether a column is there."""
    run = read_run(write_run(tmp_path, [], missing=3))

    assert len(run.points) == 0
    assert {"status", "dataset", "qps", "index_bytes", "warnings"} <= set(run.points.columns)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (None, "No such file"),
        ("", "does not list trials"),
        ("{}", "does not list trials"),
        ('{"trials": 3}', "does not list trials"),
        ("[]", "does not list trials"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, plan: str | None, message: str) -> None:
    """The message says which file was looked for and what to give instead."""
    if plan is not None:
        (tmp_path / "plan.json").write_text(plan)

    with pytest.raises(RecordError, match=message):
        read_run(tmp_path)


def test_settings_that_share_a_label_are_told_apart(tmp_path: Path) -> None:
    """Two points with one name would look like a measurement done twice."""
    records = []
    for value in (0, 1):
        record = record_of(Point(sweep=ANNOY, value=value))
        index = replace(record.trial.index, label="trees")
        records.append(changed(record, trial=replace(record.trial, index=index)))

    actual = to_frame(records, ())["index"].tolist()

    assert actual == ["trees (search_k=500)", "trees (search_k=2000)"]


def test_one_model_trained_in_two_ways_is_two_models() -> None:
    """Training is part of what a model is, and of nothing else."""
    record = record_of(Point())
    records = [
        changed(record, trial=replace(record.trial, training=setting("recipe", steps=steps)))
        for steps in (100, 400)
    ]

    actual = to_frame(records, ())["model"].tolist()

    assert actual == ["resnet-gem (training.steps=100)", "resnet-gem (training.steps=400)"]


def test_a_metric_called_like_a_column_is_refused() -> None:
    """A plug-in's metric must not replace a cost silently."""
    record = changed(record_of(Point()), metrics={"dim": MetricValue(mean=0.5)})

    with pytest.raises(RecordError, match=r"called like a column of the table: \['dim'\]"):
        to_frame([record], ["dim"])


def test_a_torn_record_stops_the_report_with_its_name(tmp_path: Path) -> None:
    """Leaving it out silently would move every verdict."""
    record = record_of(Point())
    write_run(tmp_path, [record])
    (tmp_path / "records" / f"{record.trial.id}.json").write_text(
        json.dumps({"schema_version": 2})[:-1]
    )

    with pytest.raises(RecordError, match=record.trial.id):
        read_run(tmp_path)
