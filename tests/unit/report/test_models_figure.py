"""Which model: a dot and an interval for each, best first, with names that can be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from unit.report.synthetic import EXACT, HNSWLIB, METRICS, MODELS, Point, record_of

from cbir_bench.records.frame import to_frame
from cbir_bench.report.choice import Section, sections
from cbir_bench.report.figures import MODELS as MODELS_FIGURE
from cbir_bench.report.figures import draw_figures
from cbir_bench.report.models_figure import MOST, comparable_models, make_models_figure
from cbir_bench.report.style import plotting, shortened


def section_of(models, **columns) -> Section:
    """Return the section of these models, searched exactly and by hnswlib."""
    points = [Point(sweep=s, model=m) for m in models for s in (EXACT, HNSWLIB)]
    frame = to_frame([record_of(point) for point in points], METRICS).assign(**columns)
    return sections(frame, METRICS, "map_at_r")[0]


def drawn(section: Section):
    with plotting():
        return make_models_figure(section)


def names_of(figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_every_model_stands_once_with_the_best_on_top() -> None:
    """An approximate index would blame a model for what the index misses."""
    figure = drawn(section_of(MODELS))

    (axes,) = figure.axes
    assert names_of(figure) == ["resnet-gem", "efficientnet-avg", "vit-cls", "colour histogram"]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.texts] == ["0.660", "0.450", "0.360", "0.080"]


def test_lines_are_the_intervals_of_the_table() -> None:
    """Whoever compares two models looks whether they overlap."""
    section = section_of(MODELS)

    (axes,) = drawn(section).axes

    points = comparable_models(section)
    ends = np.concatenate(
        [[s[:, 0] for s in c.get_segments()] for c in axes.collections if len(c.get_segments())]
    )
    expected = points[["map_at_r.low", "map_at_r.high"]].to_numpy()
    np.testing.assert_allclose(ends, expected)


def test_trained_models_are_filled_and_the_first_of_either_kind_says_so() -> None:
    """Colour alone would be lost in print."""
    seconds = [np.nan, np.nan, 12.0, 12.0, np.nan, np.nan, 9.0, 9.0]

    (axes,) = drawn(section_of(MODELS, training_cpu_seconds=seconds)).axes

    filled, hollow = axes.lines
    assert sorted(filled.get_xdata()) == pytest.approx([0.08, 0.45])
    assert sorted(hollow.get_xdata()) == pytest.approx([0.36, 0.66])
    assert hollow.get_markerfacecolor() == "white" != filled.get_markerfacecolor()
    assert [text.get_text() for text in axes.texts] == [
        "0.660  not trained here",
        "0.450  trained here",
        "0.360",
        "0.080",
    ]


def test_a_transform_is_part_of_the_name() -> None:
    """The same model stands twice, and the reader must know which is which."""
    uses = ["none", "none", "pca_whitening", "pca_whitening", "none", "none"]
    labels = ["none", "none", "pca(dim=64)", "pca(dim=64)", "none", "none"]

    actual = names_of(drawn(section_of(MODELS[:3], transform=labels, transform_use=uses)))

    assert actual == ["resnet-gem", "efficientnet-avg + pca(dim=64)", "vit-cls"]


def test_two_models_are_left_to_the_table() -> None:
    """Two rows of a table are compared at a glance."""
    assert len(comparable_models(section_of(MODELS[:2]))) == 0
    assert len(comparable_models(section_of(MODELS[:3]))) == 3


def test_too_many_models_are_counted() -> None:
    """The best are drawn; a figure has to fit somewhere."""
    figure = drawn(section_of([f"model {i}" for i in range(MOST + 2)]))

    assert len(names_of(figure)) == MOST
    assert any("lower: 2 more" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("length", [1, 60, 115, 400])
@pytest.mark.parametrize("word", ["W", "W "])
def test_long_names_are_readable_and_inside(length: int, word: str) -> None:
    """Sweeps differ at the end of a name, families at its beginning."""
    name = (word * length)[:length].strip()
    models = [f"first {name} last{i}" for i in range(3)]

    figure = drawn(section_of(models))

    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    boxes = [one.get_window_extent(renderer) for one in figure.axes[0].get_yticklabels()]
    assert all(text.startswith("first") for text in names_of(figure))
    assert {text[-5:] for text in names_of(figure)} == {"last0", "last1", "last2"}
    assert all(box.x0 >= 0 for box in boxes)
    assert all(below.y1 <= above.y0 for above, below in itertools.pairwise(boxes))
    assert figure.axes[0].get_window_extent(renderer).width > 3 * figure.dpi


def test_values_and_words_beside_them_stay_inside() -> None:
    """They stand to the right of the panel, where nothing else keeps them in."""
    figure = drawn(section_of(MODELS, training_cpu_seconds=[1.0] * 2 + [np.nan] * 6))

    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_models_without_an_interval_are_dots() -> None:
    """One query has no interval; the figure is drawn all the same."""
    none = {"map_at_r.low": np.nan, "map_at_r.high": np.nan}

    (axes,) = drawn(section_of(MODELS, **none)).axes

    assert len(axes.lines[1].get_xdata()) == len(MODELS)
    assert not axes.patches


@pytest.mark.parametrize(
    ("most", "expected"), [(10, "abcdefghij"), (9, "abcd…ghij"), (6, "abc…ij"), (3, "a…j")]
)
def test_shortened_texts_keep_both_ends(most: int, expected: str) -> None:
    """The end is where the models of a sweep differ."""
    assert shortened("abcdefghij", most) == expected


def test_the_figure_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    """A changed figure then means changed records, in any version control."""
    section = section_of(MODELS, training_cpu_seconds=[1.0] * 2 + [np.nan] * 6)

    first, again = (
        draw_figures([section], tmp_path / name)[section.title][0] for name in ("first", "again")
    )

    assert first.about == MODELS_FIGURE
    assert first.svg.read_bytes() == again.svg.read_bytes()
    assert first.png.read_bytes() == again.png.read_bytes()
