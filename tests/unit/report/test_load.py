"""Several clients and batches: which points are shown, and what is said of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from unit.report.synthetic import (
    ANNOY,
    EXACT,
    HNSWLIB,
    METRICS,
    MODELS,
    SWEEPS,
    Point,
    changed,
    record_of,
)

from cbir_bench.core.record import MetricValue, Record
from cbir_bench.records.frame import to_frame
from cbir_bench.report import load
from cbir_bench.report.choice import Section, sections
from cbir_bench.report.load import (
    MOST_MODELS,
    MOST_POINTS,
    batches_of,
    batches_tables,
    load_tables,
    loads_of,
    points_under_load,
)
from cbir_bench.report.load_figure import make_load_figure
from cbir_bench.report.style import plotting


def section_of(*records: Record) -> Section:
    return sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]


def with_quality(record: Record, quality: float, qps: float) -> Record:
    mean = MetricValue(mean=quality, low=quality, high=quality, n_queries=10)
    return changed(record, metrics={"map_at_r": mean}, latency=replace(record.latency, qps=qps))


@pytest.fixture(scope="module")
def section() -> Section:
    points = [
        Point(sweep=sweep, value=value, model=model)
        for model in MODELS[:2]
        for sweep in SWEEPS
        for value in range(len(sweep.values))
    ]
    return section_of(*map(record_of, points))


def test_the_frontier_is_shown_from_end_to_end() -> None:
    """Whoever wants quality and whoever wants speed both find their point."""
    records = [with_quality(record_of(Point(k=10 + i)), 0.9 - 0.01 * i, 100 + i) for i in range(11)]

    ((_, actual),) = points_under_load(section_of(*records), "loads")

    assert actual["qps"].tolist() == [100, 102, 104, 106, 108, 110]
    assert "".join(actual["letter"]) == "ABCDEF"


def test_a_library_without_an_optimal_point_comes_in_with_its_fastest_good_one() -> None:
    """A library may be overtaken with one client and still lead with eight."""
    records = [
        with_quality(record_of(Point(sweep=HNSWLIB)), 0.9, 1_000),
        with_quality(record_of(Point(sweep=ANNOY, value=0)), 0.5, 900),
        with_quality(record_of(Point(sweep=ANNOY, value=1)), 0.895, 800),
        with_quality(record_of(Point(sweep=ANNOY, value=2)), 0.896, 700),
        with_quality(record_of(Point(sweep=SWEEPS[-1])), 0.8, 950),
    ]

    ((_, actual),) = points_under_load(section_of(*records), "loads")

    assert actual["qps"].tolist() == [800, 1_000]


def test_a_point_has_one_letter_in_both_tables() -> None:
    """Letters join what is said of a point; annoy has clients and no batches."""
    records = [
        with_quality(record_of(Point(sweep=sweep)), quality, qps)
        for sweep, quality, qps in ((EXACT, 0.9, 10), (ANNOY, 0.8, 20), (HNSWLIB, 0.7, 30))
    ]
    section = section_of(*records)

    letters = [
        "".join(next(points_under_load(section, column))[1]["letter"])
        for column in ("loads", "batches")
    ]

    assert letters == ["ABC", "AC"]


def test_throughput_and_p99_stand_beside_the_number_of_clients() -> None:
    """These two are what a server is sized by."""
    record = with_quality(record_of(Point()), 0.9, 1_000)
    one, *_ = record.loads
    loads = (
        replace(one, clients=1, qps=1_000, p99_us=900),
        replace(one, clients=8, qps=1_600, p99_us=7_000),
        replace(one, clients=8, kind="processes", qps=7_500, p99_us=1_100),
    )

    text = load_tables(section_of(changed(record, loads=loads)))

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0][-3:] == ["clients are", "1 client", "8 clients"]
    assert rows[2][-3:] == ["threads", "1,000 (900 µs)", "1,600 (7.00 ms)"]
    assert rows[3][-3:] == ["processes", "–", "7,500 (1.10 ms)"]  # noqa: RUF001


def test_batches_are_told_by_size() -> None:
    """One size stands among the operating points and needs no table."""
    record = with_quality(record_of(Point()), 0.9, 1_000)
    small, large = record.batches
    both = section_of(changed(record, batches=(replace(large, qps=5e4), replace(small, qps=2e3))))

    text = batches_tables(both)

    assert text.splitlines()[0].rstrip(" |").endswith("| batches of 10 | batches of 1,000")
    assert text.splitlines()[2].replace(" ", "").endswith("|1,000|2,000|50,000|")
    assert batches_tables(section_of(changed(record, batches=(large,)))) == ""


def test_a_run_without_clients_has_neither_table_nor_figure() -> None:
    """Most runs ask for none."""
    section = section_of(changed(record_of(Point()), loads=(), batches=()))

    assert load_tables(section) == batches_tables(section) == ""
    assert make_load_figure(section) is None


def test_csv_files_have_every_point_and_percentile(section: Section) -> None:
    """The tables choose; whoever computes further must not have to."""
    loads, batches = loads_of(section.points), batches_of(section.points)

    assert len(loads) == len(section.points) * 6
    assert {"clients", "kind", "qps", "p50_us", "p999_us", "n_samples", "replicate"} <= set(loads)
    assert len(batches) == (section.points["index_use"] != "annoy").sum() * 2
    assert {"batch_size", "qps", "cpu_us", "n_calls"} <= set(batches)


def test_the_figure_has_a_row_per_model_and_a_letter_per_point(section: Section) -> None:
    """Letters are explained below, since names of settings would hide the lines."""
    with plotting():
        figure = make_load_figure(section)

    texts = [text.get_text() for text in figure.texts]
    for model, points in points_under_load(section, "loads"):
        assert model in texts
        for letter, index in zip(points["letter"], points["index"], strict=True):
            assert f"{letter}  {index}" in texts
    assert len(figure.axes) == 2 * 2
    for panel in figure.axes:
        letters = [text.get_text() for text in panel.texts if text.get_text().isalpha()]
        assert sorted(letters) == list(load.LETTERS[:MOST_POINTS])


def test_threads_and_processes_look_different(section: Section) -> None:
    """Without colour, too: one line is solid and filled, the other dashed and hollow."""
    with plotting():
        figure = make_load_figure(section)

    left = figure.axes[0]
    drawn = [line for line in left.lines if len(line.get_xdata()) == 3]
    filled = [line for line in drawn if line.get_markerfacecolor() != "white"]
    hollow = [line for line in drawn if line.get_markerfacecolor() == "white"]
    assert len(filled) == len(hollow) == MOST_POINTS
    assert {line.get_linestyle() for line in filled} == {"-"}
    assert {line.get_linestyle() for line in hollow} == {"--"}
    np.testing.assert_array_equal(filled[0].get_xdata(), [1, 2, 4])


def test_nothing_in_the_figure_of_clients_runs_into_anything_else(section: Section) -> None:
    """Names, labels of axes and explanations stand close together."""
    with plotting():
        figure = make_load_figure(section)
        renderer = figure.canvas.get_renderer()
        figure.draw(renderer)

    labels = [axis.label for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    boxes = [text.get_window_extent(renderer) for text in (*figure.texts, *labels)]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_of_many_models_the_best_are_shown() -> None:
    """A page of twenty tables is read by nobody."""
    records = [
        with_quality(record_of(Point(model=f"model {i}")), 0.3 + 0.1 * i, 100) for i in range(6)
    ]

    shown = [model for model, _ in points_under_load(section_of(*records), "loads")]

    assert shown == [f"model {i}" for i in (5, 4, 3, 2)]
    assert len(shown) == MOST_MODELS
