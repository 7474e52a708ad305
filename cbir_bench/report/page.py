"""The main page: verdict, problems, a section per data set and protocol, how to read, environment."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from cbir_bench.report import quantities, tables
from cbir_bench.report.choice import HARNESS
from cbir_bench.report.markdown import code, escape
from cbir_bench.report.numbers import count, microseconds
from cbir_bench.report.problems import environment_table, failures_table, warnings_table
from cbir_bench.report.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from cbir_bench.report.choice import Section

MOST_ROWS: Final = 40
"""A longer table of operating points shows only the Pareto-optimal ones on the main page."""


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
        of_models: whether it compares models.
        of_quantizers: whether it compares quantisers; others show operating points.
    """

    caption: str
    path: str
    of_models: bool
    of_quantizers: bool = False


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
    failed = int((points["status"] != "ok").sum())
    measured, missing = len(points) - failed, n_planned - len(points)
    text = (
        f"{count(n_planned)} trials: {count(measured)} measured, {count(failed)} failed or refused"
    )
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
    parts = [f"# {escape(name)}: all operating points", _marks()]
    for section in sections:
        for model, points in section.points.groupby("model", sort=False):
            parts.append(f"## {escape(section.title)}, {escape(model)}")
            parts.append(tables.points_table(section, points, with_model=False))
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
        "- Brackets hold the 95 % bootstrap interval of the mean over queries. Times have the unit "
        "that is written; KiB, MiB and GiB are powers of 1,024 bytes."
    )
    lines.append(f"- {_marks()}")
    return "\n".join(lines)


def _marks() -> str:
    return (
        f"{tables.OPTIMAL}: Pareto-optimal, no other point of the data set and protocol has more quality "
        f"or speed without less of the other; {tables.OPTIMAL_FOR_MODEL}: optimal among the points of "
        "its model only."
    )


def _problems(points: pd.DataFrame) -> list[str]:
    parts = []
    if (points["status"] != "ok").any():
        parts += ["## What failed and why", failures_table(points)]
    warnings = warnings_table(points)
    if warnings:
        parts += ["## Warnings", warnings]
    return parts


def _section(section: Section, figures: Sequence[Picture] | None, quantizers: str) -> list[str]:
    parts = [f"## {escape(section.title)}", tables.left_out(section)]
    if len(tables.exact_points(section)):
        parts += ["### Models under exact search", tables.models_table(section)]
        parts += [_image(one) for one in figures or () if one.of_models]
    if quantizers:
        parts += ["### Quantisers under exact search", quantizers]
        parts += [_image(one) for one in figures or () if one.of_quantizers]
    if len(section.competing) and figures is None:
        parts.append("No figures: too many data sets and protocols were drawn before this one.")
    of_points = [one for one in figures or () if not (one.of_models or one.of_quantizers)]
    parts += ["### Operating points", *(_image(one) for one in of_points)]
    parts += [_points(section), *_harness(section)]
    return parts


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
