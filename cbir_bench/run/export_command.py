"""The command ``cbir-bench export``."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(short_help="Write a run's results in the layout of another program.")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["ann-benchmarks"]),
    required=True,
    help="Whose layout: ann-benchmarks' HDF5 files, for its plots.",
)
@click.option("--out", type=_FOLDER, required=True, help="Folder to write into.")
@click.option(
    "--data-dir",
    type=_FOLDER,
    multiple=True,
    envvar="CBIR_BENCH_DATA",
    help="Folder in which the suite finds its data; may be repeated. [env: CBIR_BENCH_DATA]",
)
@click.option(
    "--cache",
    type=_FOLDER,
    envvar="CBIR_BENCH_CACHE",
    help="Folder of the frozen embeddings. [env: CBIR_BENCH_CACHE; default: ~/.cache/cbir_bench]",
)
def export(
    *, run: Path, kind: str, out: Path, data_dir: tuple[Path, ...], cache: Path | None
) -> None:
    """Write the results of a RUN folder in the layout of another program.

    A record keeps the ids of its results; distances come from the frozen embeddings in the cache.
    """
    del kind  # click has checked it: there is one
    from cbir_bench.core.paths import expand_user
    from cbir_bench.run.export import export_ann_benchmarks

    click.echo(export_ann_benchmarks(run, expand_user(out), data_dir, cache))
