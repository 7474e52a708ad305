"""The command line. Heavy modules are imported by the commands that need them, so help is instant."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from cbir_bench import __version__
from cbir_bench.core.errors import CbirBenchError, SettingError
from cbir_bench.core.paths import expand_user
from cbir_bench.doctor.command import doctor
from cbir_bench.run.export_command import export

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cbir_bench.run.freezing import Line

_KINDS: Final = (
    "datasets",
    "models",
    "transforms",
    "quantizers",
    "indexes",
    "rerankers",
    "protocols",
    "metrics",
    "tables",
    "suites",
)
_RESUMED: Final = ("run", "train", "freeze")
"""Commands that go on where they were stopped."""
_ARCHIVES: Final = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)


class _Commands(click.Group):
    """Prints an error that a user can cause as a sentence and exits with 2; Ctrl-C exits with 130."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        warnings.showwarning = _show_warning
        for stream in (sys.stdout, sys.stderr):
            if isinstance(
                stream, io.TextIOWrapper
            ):  # names that a terminal cannot show are escaped
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except CbirBenchError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            kept = " What is complete is kept: the same command goes on."
            click.echo(f"Stopped.{kept if ctx.invoked_subcommand in _RESUMED else ''}", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            ctx.exit(0)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{error.strerror or error}.", err=True)
            ctx.exit(2)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"Warning: {message}", err=True)


def _reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say who reads images while embeddings are frozen."""
    number = click.option(
        "--readers",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="How many readers decode images at once. [default: one per core]",
    )
    kind = click.option(
        "--reader-kind",
        type=click.Choice(["threads", "processes"]),
        default="threads",
        help="Processes, where decoding is done by Python itself. [default: threads]",
    )
    return number(kind(command))


def _storage(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where data is found and where frozen embeddings are kept."""
    data = click.option(
        "--data-dir",
        type=_FOLDER,
        multiple=True,
        envvar="CBIR_BENCH_DATA",
        help="Folder in which suites find images and weights; may be repeated. "
        "[env: CBIR_BENCH_DATA]",
    )
    cache = click.option(
        "--cache",
        type=_FOLDER,
        envvar="CBIR_BENCH_CACHE",
        help="Folder for trained weights and frozen embeddings. "
        "[env: CBIR_BENCH_CACHE; default: ~/.cache/cbir_bench]",
    )
    return data(cache(command))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cbir-bench")
def main() -> None:
    """Benchmark whole image-search systems: model, quantiser, index and re-ranker together.

    Start with `cbir-bench run quickstart`: it trains three small models on pictures that it draws
    itself, sweeps five index libraries over their embeddings, and writes a report.
    """


@main.command("list")
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@click.argument("name", required=False)
def list_(kind: str | None, name: str | None) -> None:
    """Show the components of a KIND, or the options of the one called NAME."""
    from cbir_bench.run.listing import list_kind, list_kinds, list_one

    if kind is None:
        text = list_kinds(_KINDS)
    else:
        text = list_one(kind, name) if name else list_kind(kind)
    click.echo(text)


@main.command()
@click.argument("suite")
def validate(suite: str) -> None:
    """Check a SUITE file; list every mistake with its line and a suggestion."""
    from cbir_bench.run.plan import Size, check_settings
    from cbir_bench.run.shipped import find_suite
    from cbir_bench.run.suite import read_suite

    path = find_suite(suite)
    read = read_suite(path)
    check_settings(read, [Size("any data set", None, leave_one_out=False)])
    click.echo(f"{path.name} is valid: {read.summary()}.")


@main.command()
@click.argument("suite")
@_storage
def plan(suite: str, data_dir: tuple[Path, ...], cache: Path | None) -> None:
    """Show what running a SUITE would do: trials, builds, estimated disk. Starts nothing."""
    from cbir_bench.run.places import Places
    from cbir_bench.run.plan import make_plan
    from cbir_bench.run.preview import preview
    from cbir_bench.run.shipped import find_suite
    from cbir_bench.run.suite import read_suite

    path = find_suite(suite)
    places = Places.of(path, data_dir, cache)
    click.echo(preview(make_plan(read_suite(path), places), places))


@main.command()
@click.argument("suite")
@click.option(
    "--out", type=_FOLDER, help="Folder of the run. [default: results/NAME, NAME as in the suite]"
)
@click.option("--retry-failed", is_flag=True, help="Measure again what failed in an earlier run.")
@click.option("--no-report", is_flag=True, help="Only measure; `cbir-bench report` draws later.")
@_reading
@_storage
def run(
    suite: str,
    out: Path | None,
    *,
    retry_failed: bool,
    no_report: bool,
    readers: int | None,
    reader_kind: Literal["threads", "processes"],
    data_dir: tuple[Path, ...],
    cache: Path | None,
) -> None:
    """Run a SUITE: a TOML file, or the name of a shipped one.

    Interrupted in any way, the same command goes on where it stopped. A trial that fails is a
    record with a reason; the exit code is 1 only if no trial has a result.
    """
    _prepare_for_work()
    from cbir_bench.embeddings.freeze import Readers
    from cbir_bench.run.execute import run_suite
    from cbir_bench.run.places import Places
    from cbir_bench.run.progress import make_progress
    from cbir_bench.run.shipped import find_suite
    from cbir_bench.run.suite import read_suite

    path = find_suite(suite)
    read = read_suite(path)
    places = Places.of(path, data_dir, cache)
    folder = expand_user(out) if out else Path("results") / read.name
    with make_progress() as progress:
        outcome = run_suite(
            read,
            folder,
            places,
            progress,
            retry_failed=retry_failed,
            readers=Readers(n=readers, kind=reader_kind),
        )
    try:
        # Before anything is said: a pipe that nobody reads any more must not cost the report.
        written = None if no_report else _write_report(folder, None, None)
    finally:
        click.echo(outcome.summary())
    if written:
        click.echo(written)
    if not outcome.n_results:
        sys.exit(1)


@main.command()
@click.argument("suite")
@_storage
def train(suite: str, data_dir: tuple[Path, ...], cache: Path | None) -> None:
    """Train the models of a SUITE that have a [model.training] table, and nothing else.

    Interrupted in any way, the same command goes on where it stopped. A run of the suite finds the
    weights in the cache.
    """
    _prepare_for_work()
    from cbir_bench.run.freezing import artefacts_of_suite, train_all
    from cbir_bench.run.making import Maker
    from cbir_bench.run.places import Places
    from cbir_bench.run.progress import make_progress
    from cbir_bench.run.shipped import find_suite
    from cbir_bench.run.suite import read_suite

    path = find_suite(suite)
    places = Places.of(path, data_dir, cache)
    artefacts = artefacts_of_suite(read_suite(path), places)
    with make_progress() as progress:
        lines = train_all(artefacts, Maker(places, progress))
    _tell(lines)


@main.command()
@click.argument("source")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="SPEC",
    help="With a folder of images; may be repeated: 'timm(backbone=resnet50, weights=hub)'.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A file to write the embeddings to (.npz, .parquet, .safetensors, .npy), or a folder for "
    "several. [default: the cache alone]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["npz", "parquet", "safetensors", "npy"]),
    help="Of the files in a folder. [default: npz]",
)
@click.option(
    "--skip-bad-images",
    is_flag=True,
    help="With a folder of images: leave out those that cannot be read, with a note.",
)
@click.option(
    "--batch-size", type=click.IntRange(1, 65536), default=64, help="Images a batch. [default: 64]"
)
@_reading
@_storage
def freeze(
    source: str,
    *,
    models: tuple[str, ...],
    out: Path | None,
    kind: str | None,
    skip_bad_images: bool,
    batch_size: int,
    readers: int | None,
    reader_kind: Literal["threads", "processes"],
    data_dir: tuple[Path, ...],
    cache: Path | None,
) -> None:
    """Freeze embeddings, without any index: of a suite's models, or of a folder of images.

    SOURCE is a suite, or a folder or archive of images for which --model names what embeds them.
    Interrupted in any way, the same command goes on where it stopped.

    \b
    cbir-bench freeze quickstart --out embeddings --format parquet
    cbir-bench freeze photos --model 'timm(backbone=resnet50, weights=hub)' --out photos.npz
    """  # noqa: D301  click's mark for lines that stay as they are
    _prepare_for_work()
    from cbir_bench.embeddings.freeze import Readers
    from cbir_bench.run.freezing import (
        artefacts_of_folder,
        artefacts_of_suite,
        freeze_all,
        targets_of,
    )
    from cbir_bench.run.making import Maker
    from cbir_bench.run.places import Places
    from cbir_bench.run.progress import make_progress
    from cbir_bench.run.shipped import find_suite
    from cbir_bench.run.suite import read_suite

    place = expand_user(source)
    if place.is_dir() or place.suffix in _ARCHIVES:
        places = Places.of(place, data_dir, cache)
        artefacts = artefacts_of_folder(place, models, places, skip_bad_images=skip_bad_images)
    else:
        path = find_suite(source)
        if models or skip_bad_images:
            raise SettingError(
                f"--model and --skip-bad-images go with a folder of images, but {source!r} is a suite, which "
                "says so itself. Leave them out."
            )
        places = Places.of(path, data_dir, cache)
        artefacts = artefacts_of_suite(read_suite(path), places)
    targets = targets_of(artefacts, expand_user(out) if out else None, kind)
    with make_progress() as progress:
        maker = Maker(places, progress, Readers(n=readers, kind=reader_kind), batch_size)
        lines = freeze_all(artefacts, maker, targets)
    _tell(lines)


def _prepare_for_work() -> None:
    signal.signal(signal.SIGTERM, _end)
    # Before torch loads: threads that spin while they wait starve everybody on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _tell(lines: Sequence[Line]) -> None:
    """Print what was made and what was not; what was not makes the exit code 1."""
    from cbir_bench.run.freezing import as_text

    click.echo(as_text(lines))
    if any(line.problem for line in lines):
        sys.exit(1)


def _end(number: int, _: object) -> None:
    """End as after Ctrl-C when a service manager asks for it: the worker first, then its files."""
    sys.exit(128 + number)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=_FOLDER, help="Folder for the report. [default: RUN/report]")
@click.option("--metric", help="Quality metric of plots and verdicts, for example map_at_r.")
def report(run: Path, out: Path | None, metric: str | None) -> None:
    """Write tables and plots from the records of a RUN folder."""
    click.echo(_write_report(run, expand_user(out) if out else None, metric))


@main.command(
    short_help="Score embeddings with labels, or a TREC run with qrels: every metric, exact."
)
@click.option(
    "--embeddings",
    metavar="FILE",
    help="Vectors of the base: npy, npz (FILE.npz:KEY), safetensors, parquet or csv.",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Their labels, in the same order or with ids: npy, npz, parquet or csv. [default: those in "
    "the file of embeddings]",
)
@click.option("--queries", metavar="FILE", help="Vectors of queries apart from the base.")
@click.option("--query-labels", metavar="FILE", help="Labels of the queries.")
@click.option(
    "--protocol",
    type=click.Choice(["full-base", "query-set"]),
    help="full-base: every item is a query against all others. [default: as given]",
)
@click.option("--space", type=click.Choice(["cosine", "ip", "l2"]), help="[default: cosine]")
@click.option(
    "--metrics",
    metavar="NAMES",
    help="For example ap,map_at_r,ndcg@10; see `cbir-bench list metrics`.",
)
@click.option(
    "--label-column",
    multiple=True,
    metavar="NAME",
    help="Column of labels; may be repeated: coarse and fine at once. [default: label]",
)
@click.option(
    "--label-separator", metavar="TEXT", help="What stands between several labels in a cell."
)
@click.option(
    "--graded", is_flag=True, help="An item is as relevant as its labels overlap with the query's."
)
@click.option(
    "--cameras", metavar="FILE", help="Cameras of the items. [default: the column camera, if any]"
)
@click.option("--query-cameras", metavar="FILE", help="Cameras of the queries.")
@click.option(
    "--same-camera",
    type=click.Choice(["exclude", "keep"]),
    help="Items of the query's label and camera are junk, or count. [default: exclude]",
)
@click.option(
    "--near-duplicates",
    type=click.Choice(["report", "exclude"]),
    help="Tell how many items there are that are nearly the same, or make them junk for each other.",
)
@click.option(
    "--duplicate-threshold",
    type=click.FloatRange(-1, 1, min_open=True),
    metavar="COSINE",
    help="From where on items are near-duplicates. [default: 0.98, or the column group]",
)
@click.option(
    "--n-queries", type=click.IntRange(1), help="Draw so many queries by --seed. [default: all]"
)
@click.option(
    "--revisited", metavar="FILE", help="gnd_roxford5k.pkl or gnd_rparis6k.pkl, in place of labels."
)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "medium", "hard", "all"]),
    multiple=True,
    help="With --revisited; may be repeated. [default: all]",
)
@click.option(
    "--distractors", metavar="FILE", help="With --revisited: vectors of images that show nothing."
)
@click.option("--run", metavar="FILE", help="A TREC run, in place of embeddings.")
@click.option("--qrels", metavar="FILE", help="TREC qrels; --labels with a column id will do, too.")
@click.option(
    "--n-base", type=click.IntRange(1), help="With --qrels: how many items a list could hold."
)
@click.option(
    "--depth",
    type=click.IntRange(1),
    help="Ranks of --run to look at, or of --write-run. [default: all; 1000]",
)
@click.option(
    "--resample",
    type=click.Choice(["queries", "classes"]),
    help="What intervals are over. [default: queries]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    help="Of intervals and draws. [default: 0]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "numpy", "cpu", "cuda"]),
    help="What counts; the numbers are the same. [default: auto]",
)
@click.option("--json", metavar="FILE", help="Write every average with its interval.")
@click.option("--curves", is_flag=True, help="CMC and precision-recall curves, too, into --json.")
@click.option("--per-query", metavar="FILE", help="Write the values of every query as Parquet.")
@click.option("--against", metavar="FILE", help="Compare with another system's --per-query file.")
@click.option("--write-run", metavar="FILE", help="Write the rankings as a TREC run.")
@click.option("--write-qrels", metavar="FILE", help="Write what is relevant as TREC qrels.")
def score(**options: Any) -> None:
    """Score embeddings, or a TREC run, by labels: every retrieval metric, exact, without a suite.

    \b
    cbir-bench score --embeddings E.npy --labels y.npy
    cbir-bench score --embeddings E.npy --labels y.npy --queries Q.npy --query-labels q.npy
    cbir-bench score --run RUN.trec --qrels QRELS.trec
    """  # noqa: D301  click's mark for lines that stay as they are
    # Before torch or numba loads: threads that spin while they wait starve everybody on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from cbir_bench.scoring.command import score as score_all
    from cbir_bench.scoring.options import Options

    click.echo(score_all(Options(**options)))


main.add_command(doctor)
main.add_command(export)


def _write_report(run: Path, out: Path | None, metric: str | None) -> str:
    """Write the report of a run and return where it is."""
    from cbir_bench.report import write_report

    files = write_report(run, out or run / "report", metric=metric)
    return f"Report: {files[0]} (and {len(files) - 1} tables and plots beside it)"


if __name__ == "__main__":
    main()
