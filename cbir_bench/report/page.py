"""The main page: verdict, problems, a section per data set and protocol, how to read, environment."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from cbir_bench.report import quantities, tables
from cbir_bench.report.builds import NOTE as BUILDS_NOTE
from cbir_bench.report.builds import builds_table
from cbir_bench.report.choice import HARNESS
from cbir_bench.report.load import MOST_MODELS, batches_tables, load_tables
from cbir_bench.report.markdown import code, escape
from cbir_bench.report.numbers import count, microseconds
from cbir_bench.report.problems import (
    environment_table,
    failures,
    failures_table,
    skipped,
    skipped_table,
    warnings_table,
)
from cbir_bench.report.replicates import replicates_table
from cbir_bench.report.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from cbir_bench.report.choice import Section

About: TypeAlias = Literal["models", "quantizers", "points", "load"]
MOST_ROWS: Final = 40
"""A longer table of operating points shows only the Pareto-optimal ones on the main page."""


_BRACKETS: Final = (
    "Brackets behind a metric hold the 95 % bootstrap interval of the mean over queries; behind p50 the 95 % "
    "interval from the order of the values."
)
_CHOSEN: Final = (
    "The points are Pareto-optimal for their model, and of libraries that have none the fastest within 1 % "
    "of the best quality; slowest first, under the same letter in both."
)
_LOAD: Final = (
    "Several clients at once, each with one query after the other: queries per second of all together and, "
    "in brackets, the p99 that they saw over all samples. All points and percentiles are in load.csv."
)
_BATCHES: Final = (
    "Batches: queries per second with so many in one call; all points are in batches.csv."
)
_REPLICATES: Final = (
    "Builds that differ from time to time: least and largest value over the builds. Everywhere else such a "
    "point has the numbers of the build in the middle by quality; operating_points.csv has a row per build."
)


class Training(NamedTuple):
    """How the models of a run learnt; empty without any.

    Attributes:
        table, notes: as Markdown; the notes say how to read the table.
        figure: relative path.
    """

    table: str = ""
    notes: str = ""
    figure: str = ""


class Picture(NamedTuple):
    """A figure of a section.

    Attributes:
        caption: in words.
        path: relative.
        about: what it compares.
    """

    caption: str
    path: str
    about: About


def main_page(
    name: str,
    points: pd.DataFrame,
    sections: Sequence[Section],
    figures: Mapping[str, Sequence[Picture]],
    counts: str,
    *,
    training: Training = Training(),  # noqa: B008  immutable
    quantizers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the main page as Markdown.

    Args:
        name: of the run.
        points: the table of records, failures included.
        sections: one per data set and protocol.
        figures: by the title of a section; sections for which none were to be drawn are not in it.
        counts: how many trials there are, in words.
        training: how models learnt, if any was trained here.
        quantizers: tables of quantisers as Markdown by the title of a section, for those that have any.
    """
    parts = [f"# {escape(name)}", counts]
    if sections:
        parts += ["## Verdict", *(f"### {escape(s.title)}\n\n{verdict(s)}" for s in sections)]
    parts += _problems(points)
    for section in sections:
        parts += _section(section, figures.get(section.title), quantizers.get(section.title, ""))
    if training.table:
        parts += [
            "## Training",
            training.table,
            training.notes,
            f"![How the models learnt]({training.figure})",
        ]
    if sections:
        parts += ["## How to read this", how_to_read(sections)]
    if len(points):
        parts += ["## Environment", environment_table(points)]
    return "\n\n".join(parts) + "\n"


def counts_in_words(points: pd.DataFrame, n_planned: int, n_left_over: int, metric: str) -> str:
    """Say how much of the plan was measured, and what quality means in this report."""
    measured, missing = int((points["status"] == "ok").sum()), n_planned - len(points)
    text = f"{count(n_planned)} trials: {count(measured)} measured"
    if len(skipped(points)):
        text += f", {count(len(skipped(points)))} left out"
    text += f", {count(len(failures(points)))} failed or refused"
    text += f", {count(missing)} not run yet." if missing else "."
    if missing:
        text += " Run the suite again to go on where it stopped."
    if n_left_over:
        text += (
            f" {count(n_left_over)} records of an earlier version of the suite lie in the same folder "
            "and are not shown."
        )
    return f"{text} Quality is {code(metric)} unless another metric is named." if metric else text


def points_page(name: str, sections: Sequence[Section]) -> str:
    """Return every measured operating point as Markdown, a table per section and model."""
    parts = [f"# {escape(name)}: all operating points", _marks(), _BRACKETS]
    for section in sections:
        for model, points in section.points.groupby("model", sort=False):
            parts.append(f"## {escape(section.title)}, {escape(model)}")
            parts.append(tables.points_table(section, points, with_model=False, bounds=True))
    return "\n\n".join(parts) + "\n"


def how_to_read(sections: Sequence[Section]) -> str:
    """Return the meaning, unit and better direction of every column as a Markdown list."""
    names = dict.fromkeys(name for section in sections for name in section.metrics)
    shown = dict.fromkeys(
        column
        for section in sections
        for column in tables.points_columns(section, with_model=False)
        if column.better != "neither" and column.column not in names
    )
    of_models = [
        quantity
        for quantity in quantities.OF_MODEL
        if any(section.points[quantity.column].notna().any() for section in sections)
    ]
    described = [*(quantities.metric(name) for name in names), *of_models, *shown]
    lines = [f"- {escape(q.header)}: {escape(q.meaning)}; {q.better} is better." for q in described]
    lines.append(
        f"- {_BRACKETS} That of p50 is in operating_points.md; p90, p95 and p99.9, their intervals, the 99th "
        "percentile of all samples and CPU times are in operating_points.csv."
    )
    lines.append(
        "- Times have the unit that is written; KiB, MiB and GiB are powers of 1,024 bytes."
    )
    lines.append(f"- {_marks()}")
    return "\n".join([*lines, *(f"- {note}" for note in _notes(sections))])


def _notes(sections: Sequence[Section]) -> list[str]:
    """Return how to read those tables that the sections have."""
    loads, batches = (
        any(section.competing[column].map(len).any() for section in sections)
        for column in ("loads", "batches")
    )
    several = any(section.replicates["replicate"].any() for section in sections)
    built = any((section.competing["build_key"] != "").any() for section in sections)
    known = (
        (loads, _LOAD),
        (batches, _BATCHES),
        (loads or batches, _CHOSEN),
        (several, _REPLICATES),
        (built, BUILDS_NOTE),
    )
    return [note for wanted, note in known if wanted]


def _marks() -> str:
    return (
        f"{tables.OPTIMAL}: Pareto-optimal, no other point of the data set and protocol has more quality "
        f"or speed without less of the other; {tables.OPTIMAL_FOR_MODEL}: optimal among the points of "
        "its model only."
    )


def _problems(points: pd.DataFrame) -> list[str]:
    parts = []
    if len(failures(points)):
        parts += ["## What failed and why", failures_table(points)]
    if len(skipped(points)):
        parts += ["## What was left out and why", skipped_table(points)]
    warnings = warnings_table(points)
    if warnings:
        parts += ["## Warnings", warnings]
    return parts


def _section(section: Section, figures: Sequence[Picture] | None, quantizers: str) -> list[str]:
    parts = [f"## {escape(section.title)}", tables.left_out(section)]
    if len(tables.exact_points(section)):
        parts += ["### Models under exact search", tables.models_table(section)]
        parts += _images(figures, "models")
    if quantizers:
        parts += ["### Quantisers under exact search", quantizers, *_images(figures, "quantizers")]
    if len(section.competing) and figures is None:
        parts.append("No figures: too many data sets and protocols were drawn before this one.")
    parts += ["### Operating points", *_images(figures, "points"), _points(section)]
    parts += _harness(section)
    return [*parts, *_under_load(section, figures), *_builds(section)]


def _under_load(section: Section, figures: Sequence[Picture] | None) -> list[str]:
    """Return how the best points do with several clients, and with batches of several sizes."""
    parts = []
    loads, batches = load_tables(section), batches_tables(section)
    hidden = len(section.competing["model"].unique()) - MOST_MODELS
    lower = (
        f" Models in the CSV file only, since their quality is lower: {hidden}."
        if hidden > 0
        else ""
    )
    if loads:
        parts += ["### Several clients at once", *_images(figures, "load"), loads, *lower]
    if batches:
        parts += ["### Batches", batches, *lower]
    return parts


def _builds(section: Section) -> list[str]:
    """Return what builds cost, and how far those of one index lie apart."""
    parts = []
    differing, builds = replicates_table(section), builds_table(section)
    if differing:
        parts += ["### Builds that differ from time to time", differing]
    if builds:
        parts += ["### Builds", builds]
    return parts


def _images(figures: Sequence[Picture] | None, about: str) -> list[str]:
    return [_image(one) for one in figures or () if one.about == about]


def _image(picture: Picture) -> str:
    return f"![{escape(picture.caption)}]({picture.path})"


def _points(section: Section) -> str:
    points = section.points[section.points["index_use"] != HARNESS]
    if len(points) <= MOST_ROWS:
        return tables.points_table(section, points, with_model=True)
    optimal = points[points["pareto"]]
    shown = tables.points_table(section, optimal, with_model=True)
    note = (
        f"These are the {count(len(optimal))} Pareto-optimal points; all {count(len(points))} are in "
        "[operating_points.md](operating_points.md)."
    )
    return f"{shown}\n\n{note}"


def _harness(section: Section) -> list[str]:
    harness = section.points[section.points["index_use"] == HARNESS]
    if not harness["p50_us"].notna().any():
        return []
    floor = microseconds(harness["p50_us"].min())
    text = f"Asking an index that does nothing takes {floor} per query: so much of every latency is ours."
    return [text]
