"""What a run folder tells of its models: size, speed and how they learnt, a JSON file for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import RecordError
from cbir_bench.records.atomic import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FOLDER: Final = "models"


def write_model(run_folder: Path, table: Mapping[str, Any]) -> None:
    """Write what is known of the model behind some frozen embeddings.

    Args:
        run_folder: of the run.
        table: with the embeddings' ``key``; a JSON object.
    """
    folder = run_folder / _FOLDER
    folder.mkdir(exist_ok=True)
    text = json.dumps(dict(table), indent=1)
    write_file(folder / f"{table['key']}.json", text.encode("utf-8", "surrogateescape"))


def read_models(run_folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is known of the models of a run, by the keys of their embeddings.

    Empty for a run of before such files were written.

    Raises:
        RecordError: if a file is torn.
    """
    return {path.stem: _read(path) for path in sorted((run_folder / _FOLDER).glob("*.json"))}


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise _torn(path) from error
    if not isinstance(table, dict):
        raise _torn(path)
    return table


def _torn(path: Path) -> RecordError:
    return RecordError(f"{path} is torn. Delete it and run the suite again; nothing is repeated.")
