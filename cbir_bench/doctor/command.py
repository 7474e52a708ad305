"""The command ``cbir-bench doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(short_help="Check installation and machine; measure the noise of measuring.")
@click.option(
    "--noise",
    type=click.FloatRange(0, 3600),
    default=10.0,
    metavar="SECONDS",
    help="How long to measure the same work against itself; 0 not to. [default: 10]",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--cache",
    type=_FOLDER,
    envvar="CBIR_BENCH_CACHE",
    help="Folder of weights and embeddings, whose disk is looked at. "
    "[env: CBIR_BENCH_CACHE; default: ~/.cache/cbir_bench]",
)
@click.option(
    "--out", type=_FOLDER, default=Path("results"), help="Folder of runs. [default: results]"
)
def doctor(*, noise: float, as_json: bool, cache: Path | None, out: Path) -> None:
    """Say what is installed, what is missing, what could spoil a measurement, and how small a
    difference in latency a run here can show.

    The exit code is 1 only if something required is missing.
    """  # noqa: D205
    import json

    from cbir_bench.core.paths import expand_user
    from cbir_bench.doctor.checkup import check_up
    from cbir_bench.doctor.show import as_text

    home = expand_user(cache or Path("~/.cache/cbir_bench"))
    found = check_up(home, expand_user(out), noise, lambda text: click.echo(text, err=True))
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else as_text(found))
    if found.missing:
        sys.exit(1)
