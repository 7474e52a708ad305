"""Which metric, which points, which order."""

from __future__ import annotations

import pytest
from unit.report.synthetic import (
    ANNOY,
    EXACT,
    HNSWLIB,
    METRICS,
    NULL,
    Point,
    changed,
    failed,
    record_of,
)

from cbir_bench.core.errors import SettingError
from cbir_bench.core.record import MetricValue
from cbir_bench.records.frame import to_frame
from cbir_bench.report.choice import main_metric, sections

UNDEFINED = MetricValue(mean=None, undefined="needs more results")


def without(record, *names: str):
    return changed(record, metrics=record.metrics | dict.fromkeys(names, UNDEFINED))


def test_map_at_r_is_preferred_wherever_it_stands() -> None:
    """It is the metric that the field agrees on."""
    frame = to_frame([record_of(Point())], METRICS)

    assert main_metric(frame, ("hit_rate@1", "map_at_r"), None) == "map_at_r"


def test_the_first_metric_with_a_value_for_every_point_is_next() -> None:
    """ap exists for exact search only, so a plot of it would be empty."""
    records = [
        without(record_of(Point(sweep=EXACT)), "map_at_r"),
        without(record_of(Point(sweep=HNSWLIB)), "map_at_r"),
    ]

    assert main_metric(to_frame(records, METRICS), METRICS, None) == "hit_rate@1"


def test_what_the_harness_and_failures_lack_does_not_count() -> None:
    """They compete for nothing."""
    records = [
        record_of(Point()),
        without(record_of(Point(sweep=NULL)), "map_at_r"),
        failed(Point(value=1), "timeout", "Too slow."),
    ]

    assert main_metric(to_frame(records, METRICS), METRICS, None) == "map_at_r"


def test_the_metric_with_most_values_is_the_last_resort() -> None:
    """Better an incomplete plot than none."""
    records = [
        without(record_of(Point(sweep=EXACT)), "map_at_r", "hit_rate@1", "precision@10"),
        without(record_of(Point(sweep=HNSWLIB)), "map_at_r", "hit_rate@1", "precision@10"),
    ]

    assert main_metric(to_frame(records, METRICS), METRICS, None) == "ap"
    assert main_metric(to_frame(records[1:], METRICS), METRICS, None) == ""


def test_a_wanted_metric_is_taken_or_refused_with_a_suggestion() -> None:
    """A typing mistake gets an answer."""
    frame = to_frame([record_of(Point())], METRICS)

    assert main_metric(frame, METRICS, "knn_recall@10") == "knn_recall@10"
    with pytest.raises(SettingError, match="Did you mean 'map_at_r'"):
        main_metric(frame, METRICS, "mapatr")
    with pytest.raises(SettingError, match="ap has no value in this run"):
        main_metric(frame, METRICS, "ap")


def test_sections_are_data_sets_and_protocols_in_the_order_of_the_plan() -> None:
    """Numbers of different data sets are never compared."""
    points = [
        Point(dataset="b", protocol="full-base"),
        Point(dataset="a", protocol="query-set"),
        Point(dataset="b", protocol="query-set"),
        Point(dataset="b", protocol="full-base", value=1),
    ]
    frame = to_frame([record_of(point) for point in points], METRICS)

    actual = [(s.title, len(s.points)) for s in sections(frame, METRICS, "map_at_r")]

    assert actual == [("b, full-base", 2), ("a, query-set", 1), ("b, query-set", 1)]


def test_the_harness_is_no_point_of_the_frontier() -> None:
    """Nothing is as fast as doing nothing."""
    records = [record_of(Point(sweep=sweep)) for sweep in (NULL, EXACT, HNSWLIB, ANNOY)]

    section = sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]

    marked = section.points.set_index("index_use")["pareto"].to_dict()
    assert marked == {"exact": True, "hnswlib": True, "annoy": False, "null": False}
    assert "null" not in set(section.competing["index_use"])


def test_points_are_optimal_for_their_model_or_for_all() -> None:
    """Somebody who is bound to a model looks at its frontier."""
    records = [
        record_of(Point(model=model, sweep=sweep))
        for model in ("resnet-gem", "vit-cls")
        for sweep in (EXACT, HNSWLIB)
    ]

    section = sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]

    assert section.points["pareto_model"].all()
    assert (
        section.points.loc[section.points["pareto"], "model"].unique().tolist()[0] == "resnet-gem"
    )
    assert not section.points["pareto"].all()


def test_only_axes_that_vary_are_columns() -> None:
    """A column with one value tells nothing."""
    records = [record_of(Point(k=k)) for k in (10, 100)]

    assert sections(to_frame(records, METRICS), METRICS, "map_at_r")[0].axes == ("k",)


def test_trials_that_were_left_out_are_no_points() -> None:
    """They have no numbers to be drawn."""
    records = [record_of(Point()), failed(Point(value=1), "skipped", "Pointless.")]

    (section,) = sections(to_frame(records, METRICS), METRICS, "map_at_r")

    assert len(section.points) == len(section.replicates) == 1
