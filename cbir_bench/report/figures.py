"""The figures of a report: one file per data set, protocol and question, a row of panels per model."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cbir_bench.report.choice import EXACT, PLAIN
from cbir_bench.report.load_figure import TITLE as LOAD_TITLE
from cbir_bench.report.load_figure import make_load_figure
from cbir_bench.report.markdown import slug
from cbir_bench.report.models_figure import comparable_models, make_models_figure
from cbir_bench.report.panels import Panel, draw_panel
from cbir_bench.report.quantization import by_family, quantizer_panels, quantizer_points
from cbir_bench.report.style import marks_of, plotting, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from cbir_bench.report.choice import Section

MODELS: Final = "models"
"""The name of the figure that compares models."""
LOAD: Final = "load"
"""The name of the figure of several clients."""
MOST_MODELS: Final = 4
"""Rows of a figure; the models with the best quality are drawn."""
MOST_SECTIONS: Final = 10
"""Data sets and protocols with figures; drawing takes most of a report's time."""
_WIDTH, _ROW, _HEAD, _FOOT = 10.0, 3.3, 1.05, 0.9
"""Inches."""
_DPI: Final = 110


class Question(NamedTuple):
    """What a figure answers.

    Attributes:
        name: for its file.
        title: in words.
        panels_of: the panels of a model, from a section and the model's points.
        note: how to read the marks.
    """

    name: str
    title: str
    panels_of: Callable[[Section, pd.DataFrame], list[Panel]]
    note: str


class Drawn(NamedTuple):
    """A figure in its two formats.

    Attributes:
        about: "models", "load", or the name of a question about operating points.
        caption: in words.
        svg, png: its files.
    """

    about: str
    caption: str
    svg: Path
    png: Path


def draw_figures(sections: Sequence[Section], out_folder: Path) -> dict[str, list[Drawn]]:
    """Draw the sections' figures into ``out_folder/figures`` and return them by the section's title.

    Sections without a point that could be chosen are not in it, nor are those after
    ``MOST_SECTIONS``. A section in which models alone differ has no figures of speed and cost.
    """
    folder = out_folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    drawn: dict[str, list[Drawn]] = {}
    with plotting():
        for section in [one for one in sections if len(one.competing)][:MOST_SECTIONS]:
            name = slug(f"{section.dataset} {section.protocol}", taken)
            figures = drawn[section.title] = []
            if len(comparable_models(section)):
                words = f"{section.title}: models under exact search"
                figures.append(_save(make_models_figure(section), folder / name, MODELS, words))
            for question in () if models_alone(section) else QUESTIONS:
                words = f"{section.title}: {question.title}"
                figure = make_figure(section, question)
                figures.append(_save(figure, folder / name, question.name, words))
            if len(quantizer_points(section)):
                words = f"{section.title}: {OF_QUANTIZERS.title}"
                figure = make_figure(by_family(section), OF_QUANTIZERS)
                figures.append(_save(figure, folder / name, OF_QUANTIZERS.name, words))
            under_load = make_load_figure(section)
            if under_load is not None:
                words = f"{section.title}: {LOAD_TITLE}"
                figures.append(_save(under_load, folder / name, LOAD, words))
    return drawn


def models_alone(section: Section) -> bool:
    """Whether every point was searched alike, without re-ranking: a panel would hold a single point."""
    points = section.competing
    settings = points[["index", "quantizer", "k", "n_threads"]].drop_duplicates()
    return len(settings) == 1 and bool((points["reranker_use"] == PLAIN).all())


def speed_panels(section: Section, points: pd.DataFrame) -> list[Panel]:
    """Return the main metric and ``knn_recall`` against queries per second, side by side."""
    exact = points[(points["index_use"] == EXACT) & (points["reranker_use"] == PLAIN)]
    reference = float(exact[section.metric].max()) if len(exact) else None
    panels = [
        Panel(
            points=points, x="qps", y=section.metric, x_label="queries per second", level=reference
        )
    ]
    if section.recall:
        plain = points[points["reranker_use"] == PLAIN]
        panels.append(Panel(points=plain, x="qps", y=section.recall, x_label="queries per second"))
    return panels


def cost_panels(section: Section, points: pd.DataFrame) -> list[Panel]:
    """Return the main metric against build time and memory: each build's best point.

    Memory is what the worker's private memory grew by. Where that is too little to be measured, for
    any point of the section, it is the saved index for all.
    """
    plain = points[points["reranker_use"] == PLAIN]
    best = plain if len(plain) else points
    best = best.drop_duplicates(["build_key", *section.axes])  # points come best first
    grew = (section.competing["private_growth_bytes"] > 0).all()
    costs = {
        "build_seconds": "build time, seconds",
        **(
            {"private_growth_bytes": "memory, MiB"} if grew else {"index_bytes": "saved index, MiB"}
        ),
    }
    return [
        Panel(points=best, x=x, y=section.metric, x_label=label, x_better="lower")
        for x, label in costs.items()
    ]


QUESTIONS: Final = (
    Question(
        "speed",
        "quality against speed",
        speed_panels,
        "Filled: the index's own answer; hollow: re-ranked (left only). A line joins the best search "
        "settings of one build. Grey: Pareto frontier. Dotted: exact search.",
    ),
    Question(
        "cost",
        "quality against cost",
        cost_panels,
        "A point per build, at its best search setting and, where that was measured, before re-ranking. "
        "Grey: Pareto frontier.",
    ),
)


OF_QUANTIZERS: Final = Question(
    "quantizers",
    "quality against bytes per image under exact search",
    quantizer_panels,
    "Filled: the quantiser alone; hollow: with a second look, whose own store is added to the bytes. A "
    "line joins the best of a family. Grey: Pareto frontier. Dotted: float32.",
)


def make_figure(section: Section, question: Question) -> Any:
    """Return the Matplotlib figure that answers a question with a row of panels per model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = list(section.competing["model"].drop_duplicates())
    rows = [
        question.panels_of(section, section.competing[section.competing["model"] == model])
        for model in models[:MOST_MODELS]
    ]
    height = _HEAD + _FOOT + _ROW * len(rows)
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    figure.subplots_adjust(
        left=0.08,
        right=0.985,
        wspace=0.2,
        hspace=0.5,
        top=1 - _HEAD / height,
        bottom=_FOOT / height,
    )
    marks = marks_of(section.competing["index_use"])
    for model, row, panels in zip(models, grid, rows, strict=False):
        for axes, panel in zip(row, panels, strict=True):
            draw_panel(axes, panel, marks)
        _name(figure, row[0], model)
    _explain(figure, section, question, len(models) - len(rows))
    return figure


def _name(figure: Any, axes: Any, model: str) -> None:
    """Write a model's name above its row, clear of what its panels say of points that are not shown."""
    corner, height = axes.get_position(), figure.get_figheight()
    y = corner.y1 + 0.24 / height
    figure.text(corner.x0, y, shortened(model, 100), fontsize=10, fontweight="bold")


def _explain(figure: Any, section: Section, question: Question, n_hidden: int) -> None:
    height = figure.get_figheight()
    title = f"{shortened(section.title, 70)}: {question.title}"
    figure.text(0.012, 1 - 0.3 / height, title, fontsize=12, fontweight="bold", va="center")
    note = question.note
    if n_hidden:
        note += f" Models in the tables only, since their quality is lower: {n_hidden}."
    figure.text(0.012, 0.12 / height, fill(note, 165), fontsize=8, color="#444444", va="bottom")


def _save(figure: Any, path: Path, about: str, caption: str) -> Drawn:
    svg, png = (path.with_name(f"{path.name}-{about}.{suffix}") for suffix in ("svg", "png"))
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", metadata={"Software": None})
    return Drawn(about, caption, svg, png)
