"""From a run folder to a folder of tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from cbir_bench.core.errors import RecordError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cbir_bench.report.choice import Section
    from cbir_bench.report.figures import Drawn
    from cbir_bench.report.page import About, Picture

_OBJECTS: Final = ("environment", "warnings", "log_tail", "batches", "loads", "quiet")
"""Columns that no cell of a CSV file can hold."""


def write_report(run_folder: Path, out_folder: Path, *, metric: str | None = None) -> list[Path]:
    """Write the report of a run and return its files, ``report.md`` first.

    Args:
        run_folder: what `cbir-bench run` wrote; only records and the plan are read.
        out_folder: made if it is missing; files of an earlier report are replaced.
        metric: quality in plots and verdicts; by default ``map_at_r`` or the first metric that has a
            value for every point.

    Raises:
        RecordError: if the folder is no run, a record is torn, or the report cannot be written.
        SettingError: if the metric is not in the run.
    """
    from cbir_bench.records.frame import read_run
    from cbir_bench.report import choice, page
    from cbir_bench.report.figures import draw_figures
    from cbir_bench.report.quantization import compared_quantizers, quantizers_table
    from cbir_bench.report.training import (
        curves_of,
        draw_training,
        training_notes,
        training_table,
    )

    run = read_run(run_folder)
    main = choice.main_metric(run.points, run.metrics, metric)
    sections = choice.sections(run.points, run.metrics, main)
    learnt = curves_of(run.models)
    quantized = [(section, compared_quantizers(section, run_folder)) for section in sections]
    quantized = [(section, rows) for section, rows in quantized if len(rows)]
    try:
        figures = draw_figures(sections, out_folder)
        links = {title: [_picture(one) for one in drawn] for title, drawn in figures.items()}
        counts = page.counts_in_words(run.points, run.n_planned, run.n_left_over, main)
        curves = draw_training(learnt, out_folder)
        training = page.Training(
            training_table(learnt) if learnt else "",
            training_notes(learnt),
            f"{curves.png.parent.name}/{curves.png.name}" if curves else "",
        )
        texts = {
            "report.md": page.main_page(
                run.name,
                run.points,
                sections,
                links,
                counts,
                training=training,
                quantizers={s.title: quantizers_table(s, rows) for s, rows in quantized},
            ),
            "operating_points.md": page.points_page(run.name, sections),
            **csv_files(run.points, sections),
            **quantizers_csv([rows for _, rows in quantized]),
        }
        files = [_write(out_folder / name, text) for name, text in texts.items()]
    except OSError as error:
        raise RecordError(
            f"The report cannot be written to {out_folder}: {error.strerror or error}. "
            "Give another folder with --out."
        ) from error
    pictures = [figure for drawn in figures.values() for figure in drawn]
    paths = [path for figure in pictures for path in (figure.svg, figure.png)]
    return [*files, *paths, *((curves.svg, curves.png) if curves else ())]


def csv_files(points: pd.DataFrame, sections: list[Section]) -> dict[str, str]:
    """Return the CSV files by name: full precision, units in the names of the columns."""
    import pandas as pd

    from cbir_bench.report.builds import builds_of
    from cbir_bench.report.load import batches_of, loads_of
    from cbir_bench.report.problems import failures, skipped
    from cbir_bench.report.tables import exact_points

    empty = points[points["status"] == "ok"].assign(pareto=False, pareto_model=False)
    measured = pd.concat([_with_replicates(section) for section in sections] or [empty])
    exact = [exact_points(section) for section in sections] or [empty]
    asked = ["trial_id", "status", "reason", *_components(), "space", "k", "n_threads", "replicate"]
    tables = {"load.csv": loads_of(measured), "batches.csv": batches_of(measured)}
    return {
        "operating_points.csv": _csv(measured.drop(columns=[*_OBJECTS])),
        "models.csv": _csv(pd.concat(exact).drop(columns=[*_OBJECTS])),
        "builds.csv": _csv(builds_of(points)),
        "failures.csv": _csv(failures(points)[[*asked, "log_tail"]]),
        "skipped.csv": _csv(skipped(points)[asked]),
        **{name: _csv(table) for name, table in tables.items() if len(table)},
    }


def _with_replicates(section: Section) -> pd.DataFrame:
    """Return every measured row of a section, best first; those in no table are marked as such.

    Added columns: ``pareto`` and ``pareto_model``, True for points of tables alone, and ``in_tables``.
    """
    import pandas as pd

    shown = section.points.assign(in_tables=True)
    others = section.replicates[~section.replicates["trial_id"].isin(shown["trial_id"])]
    if others.empty:
        return shown
    keys = section.replicates.set_index("trial_id")["build_key"]
    rows = pd.concat([shown, others.assign(in_tables=False, pareto=False, pareto_model=False)])
    return rows.assign(build_key=rows["trial_id"].map(keys))


def _picture(drawn: Drawn) -> Picture:
    from cbir_bench.report.figures import LOAD, MODELS, OF_QUANTIZERS
    from cbir_bench.report.page import Picture

    about: About = "points"
    if drawn.about in {LOAD, MODELS, OF_QUANTIZERS.name}:
        about = cast("About", drawn.about)
    return Picture(drawn.caption, f"{drawn.png.parent.name}/{drawn.png.name}", about)


def quantizers_csv(compared: list[pd.DataFrame]) -> dict[str, str]:
    """Return the CSV file of quantisers by its name, if any were compared."""
    import pandas as pd

    if not compared:
        return {}
    return {"quantizers.csv": _csv(pd.concat(compared).drop(columns=[*_OBJECTS]))}


def _components() -> tuple[str, ...]:
    return ("dataset", "protocol", "model", "transform", "quantizer", "index", "reranker")


def _csv(points: pd.DataFrame) -> str:
    return points.to_csv(index=False, lineterminator="\n")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
