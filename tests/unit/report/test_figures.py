"""What figures promise: libraries told apart without colour, names that can be read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from unit.report.synthetic import METRICS, MODELS, SWEEPS, Point, record_of

from cbir_bench.records.frame import to_frame
from cbir_bench.report.choice import Section, sections
from cbir_bench.report.figures import (
    QUESTIONS,
    Question,
    cost_panels,
    draw_figures,
    make_figure,
)
from cbir_bench.report.labels import Curve, label_curves
from cbir_bench.report.panels import Panel, draw_panel, log_ticks
from cbir_bench.report.style import marks_of, plotting


@pytest.fixture
def axes():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with plotting():
        figure = Figure(figsize=(5, 3), dpi=100)
        FigureCanvasAgg(figure)
        yield figure.subplots()


def boxes_of(axes) -> list:
    renderer = axes.figure.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in axes.texts]


def test_libraries_differ_in_marker_and_line_too() -> None:
    """Print is grey, and one man in twelve does not see red beside green."""
    names = (
        "exact",
        "faiss",
        "hnswlib",
        "annoy",
        "nmslib",
        "scann",
        "usearch",
        "voyager",
        "diskann",
    )

    marks = marks_of(names)

    for part in ("marker", "colour"):
        values = [getattr(mark, part) for mark in marks.values()]
        assert len(set(values)) == len(names), part
    lines = [mark.dashes for name, mark in marks.items() if name != "exact"]
    assert len(set(lines)) == len(lines)


def test_a_library_looks_the_same_whoever_is_beside_it() -> None:
    """Two reports are compared side by side."""
    assert marks_of(["scann"])["scann"] == marks_of(["exact", "scann", "new"])["scann"]


@pytest.mark.parametrize("seed", range(8))
def test_names_overlap_neither_each_other_nor_the_border(axes, seed: int) -> None:
    """Six curves that cross, as six libraries do."""
    rng = np.random.default_rng(seed)
    curves = []
    for i, name in enumerate(("faiss", "hnswlib", "annoy", "nmslib", "scann", "exact")):
        x = np.sort(rng.uniform(0.05, 0.95, 5))
        points = np.stack([x, 0.95 - 0.8 * x**2 + 0.02 * i * rng.random(5)], axis=1)
        curves.append(Curve(name, points, [points], "#000000"))

    label_curves(axes, curves)

    boxes, frame = boxes_of(axes), axes.get_window_extent()
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_a_name_hides_no_marker_where_there_is_room(axes) -> None:
    """A label in the way of a point is worse than none."""
    row = np.array([(x, 0.5) for x in np.arange(0.3, 0.7, 0.03)])
    label_curves(axes, [Curve("faiss", row, [], "#000000")])

    (box,) = boxes_of(axes)
    pixels = axes.transAxes.transform(row)

    assert not any(box.contains(*pixel) for pixel in pixels)


@pytest.fixture(scope="module")
def section() -> Section:
    records = [
        record_of(Point(sweep=sweep, model=model, reranker=reranker))
        for sweep in SWEEPS
        for model in MODELS
        for reranker in ("none", "alpha-qe")
    ]
    return sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_a_row_of_panels_per_model_names_every_library_in_range(
    section: Section, question: Question
) -> None:
    """Best model first; what is too poor to be chosen is counted instead of drawn."""
    with plotting():
        figure = make_figure(section, question)

    rows = [figure.axes[i : i + 2] for i in range(0, 2 * len(MODELS), 2)]
    assert len(figure.axes) == 2 * len(MODELS)
    names = [text.get_text() for text in figure.texts]
    assert names[: len(MODELS)] == list(MODELS)
    tops = [row[0].get_position().y1 for row in rows]
    assert all(text.get_position()[1] > top for text, top in zip(figure.texts, tops, strict=False))
    for panel in figure.axes:
        names = {text.get_text() for text in panel.texts}
        assert names | {"annoy"} == {"exact", "faiss", "hnswlib", "annoy", "nmslib", "scann"}
        assert ("annoy" in names) != ("below" in panel.get_title(loc="right"))


def test_a_models_name_touches_neither_the_title_nor_what_is_not_shown(section: Section) -> None:
    """All three stand above the panels; one model leaves the least room."""
    one = section.points["model"] == MODELS[0]
    renamed = section.points[one].assign(model="a name that is long, as sweeps make them " * 3)

    with plotting():
        figure = make_figure(replace(section, points=renamed), QUESTIONS[0])
        renderer = figure.canvas.get_renderer()
        figure.draw(renderer)

    name, title = (text.get_window_extent(renderer) for text in figure.texts[:2])
    hidden = [panel._right_title for panel in figure.axes]
    assert all(text.get_text().startswith("not shown") for text in hidden)
    assert name.y1 < title.y0
    assert title.y1 < figure.bbox.y1
    assert name.x1 < figure.bbox.x1
    assert all(text.get_window_extent(renderer).y1 < name.y0 for text in hidden)


def test_models_alone_have_no_figures_of_speed(tmp_path: Path) -> None:
    """Each panel would hold one star; a single other setting, or re-ranker, is a comparison again."""
    exact = [Point(sweep=SWEEPS[0], model=model) for model in MODELS]
    others = [replace(exact[0], reranker="alpha-qe"), Point(), replace(exact[0], quantizer="int8")]

    def drawn(points: list[Point], name: str) -> list[str]:
        of_run = to_frame([record_of(point) for point in points], METRICS)
        found = sections(of_run, METRICS, "map_at_r")
        return [one.about for one in draw_figures(found, tmp_path / name)[found[0].title]]

    assert drawn(exact, "alone") == ["models", "load"]
    assert drawn(exact[:2], "two") == ["load"]
    for i, other in enumerate(others):
        assert drawn([*exact, other], str(i)) == ["models", "speed", "cost", "load"]


def test_points_far_below_the_best_are_counted_instead_of_drawn(axes) -> None:
    """One setting that finds nothing would press all others against the upper border."""
    frame = to_frame([record_of(Point(value=value)) for value in range(3)], METRICS)
    frame["map_at_r"] = [0.5, 0.4, 0.399]

    draw_panel(axes, Panel(points=frame, x="qps", y="map_at_r", x_label=""), marks_of(["hnswlib"]))

    assert axes.get_title(loc="right") == "not shown: 1 below 0.4"
    assert axes.get_ylim()[0] > 0.38


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (200, 40_000, [300, 1_000, 3_000, 10_000, 30_000]),
        (4_700, 90_000, [5_000, 10_000, 20_000, 50_000]),
        (0.003, 40, [0.01, 0.1, 1, 10]),
        (26_000, 84_000, [30_000, 40_000, 50_000, 70_000]),
        (1, 10**12, [1, 10**2, 10**4, 10**6, 10**8, 10**10, 10**12]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, expected: list[float]) -> None:
    """Numbers on an axis are read aloud in meetings, and must not run into each other."""
    np.testing.assert_allclose(log_ticks(low, high), expected)


def test_no_name_in_a_figure_overlaps_another(section: Section) -> None:
    """On the real layout, where panels are crowded."""
    with plotting():
        for question in QUESTIONS:
            figure = make_figure(section, question)
            for panel in figure.axes:
                boxes = boxes_of(panel)
                assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_a_figure_is_an_svg_and_a_png_file(section: Section, tmp_path: Path) -> None:
    """One for print, one for everything that shows no SVG."""
    drawn = draw_figures([section], tmp_path)[section.title]

    assert [figure.svg.name for figure in drawn] == [
        "products-query-set-models.svg",
        "products-query-set-speed.svg",
        "products-query-set-cost.svg",
        "products-query-set-load.svg",
    ]
    for figure in drawn:
        assert ET.parse(figure.svg).getroot().tag.endswith("svg")
        assert figure.png.read_bytes().startswith(b"\x89PNG")


def test_memory_too_small_to_measure_gives_way_to_the_saved_index(section: Section) -> None:
    """On a toy data set an index fits into pages that the process had already."""
    points = section.points.assign(private_growth_bytes=0.0)

    before = cost_panels(section, section.competing)[1].x
    after = cost_panels(replace(section, points=points), points)[1].x

    assert (before, after) == ("private_growth_bytes", "index_bytes")


def test_the_number_of_figures_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over a hundred data sets would draw for minutes."""
    monkeypatch.setattr("cbir_bench.report.figures.MOST_SECTIONS", 1)
    records = [record_of(Point(dataset=f"set {i}")) for i in range(3)]

    drawn = draw_figures(sections(to_frame(records, METRICS), METRICS, "map_at_r"), tmp_path)

    assert list(drawn) == ["set 0, query-set"]
