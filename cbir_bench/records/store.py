"""One JSON file and one Parquet file per trial; the JSON file is the commit mark.

The Parquet file is written and synced first, then the JSON file with its SHA-256, so that a record
that can be read is complete, whenever its writer was killed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import RecordError
from cbir_bench.records.atomic import remove_leftovers, write_file
from cbir_bench.records.codec import dump, from_json, load, to_json
from cbir_bench.records.columns import from_parquet, to_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.record import Record

_NAME: Final = re.compile(r"[0-9a-f]{16}\.json")


class RecordStore:
    """The records of a run.

    Reading changes nothing on disk. The first ``write`` makes the folder and deletes the temporary
    files of writers that were killed.

    Args:
        run_folder: the folder of the run; records lie in its folder ``records``.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder: Final = run_folder / "records"
        self._opened = False

    def write(self, record: Record) -> None:
        """Keep a record for good.

        A failure may be replaced by a later attempt; what was measured never is.

        Raises:
            RecordError: if the trial was measured before, an array has a wrong shape, or the disk is
                full; the folder is then as it was.
        """
        trial_id = record.trial.id
        self._open_for_writing()
        if self.has(trial_id) and self._load(trial_id)["status"] == "ok":
            raise RecordError(
                f"The trial {trial_id} has a record already, and records never change. Delete its "
                f"two files in {self.folder} to measure it again."
            )
        table = to_json(record)
        table["arrays"] = None
        if record.arrays:
            content = to_parquet(record.arrays, record.n_queries)
            table["arrays"] = {
                "bytes": len(content),
                "columns": sorted(record.arrays),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            write_file(self._path(trial_id, "parquet"), content)
        try:
            write_file(self._path(trial_id, "json"), dump(table))
        except RecordError:
            self._path(trial_id, "parquet").unlink(missing_ok=True)
            raise

    def has(self, trial_id: str) -> bool:
        """Return whether the trial has a record, measured or failed.

        Raises:
            RecordError: if there is one that cannot be read.
        """
        if not self._path(trial_id, "json").exists():
            return False
        self._check_size(trial_id, self._load(trial_id)["arrays"])
        return True

    def read(self, trial_id: str, *, arrays: bool = False) -> Record:
        """Return a record, with its per-query arrays if asked for.

        Raises:
            RecordError: if there is none, or it is torn, foreign, changed or of another schema.
        """
        table = self._load(trial_id)
        record = from_json(table)
        if not arrays:
            return record
        return replace(record, arrays=self._arrays(trial_id, table["arrays"]))

    def ids(self) -> tuple[str, ...]:
        """Return the id of every trial with a record, sorted."""
        if not self.folder.is_dir():
            return ()
        names = (path.name for path in self.folder.iterdir())
        return tuple(sorted(name.removesuffix(".json") for name in names if _NAME.fullmatch(name)))

    def __iter__(self) -> Iterator[Record]:
        return (self.read(trial_id) for trial_id in self.ids())

    def __len__(self) -> int:
        return len(self.ids())

    def _path(self, trial_id: str, kind: str) -> Path:
        return self.folder / f"{trial_id}.{kind}"

    def _open_for_writing(self) -> None:
        if self._opened:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder)
        except OSError as error:
            raise RecordError(
                f"The folder {self.folder} cannot be written: {error.strerror or error}. "
                "Give another folder for the run."
            ) from error
        self._opened = True

    def _load(self, trial_id: str) -> dict[str, Any]:
        try:
            content = self._path(trial_id, "json").read_bytes()
        except OSError as error:
            raise RecordError(
                f"The trial {trial_id} has no readable record in {self.folder}: "
                f"{error.strerror or error}. Run the suite again to measure it."
            ) from error
        table = load(content, trial_id)
        arrays = table.get("arrays", {})
        if arrays is not None and not {"bytes", "sha256"} <= set(arrays):
            raise RecordError(
                f"The record {trial_id} does not say which arrays belong to it. "
                "Delete its files to measure it again."
            )
        return table

    def _check_size(self, trial_id: str, arrays: dict[str, Any] | None) -> None:
        path = self._path(trial_id, "parquet")
        if arrays and (not path.is_file() or path.stat().st_size != arrays["bytes"]):
            raise _torn(trial_id)

    def _arrays(
        self, trial_id: str, arrays: dict[str, Any] | None
    ) -> dict[str, NDArray[np.generic]]:
        if not arrays:
            return {}
        self._check_size(trial_id, arrays)
        content = self._path(trial_id, "parquet").read_bytes()
        if hashlib.sha256(content).hexdigest() != arrays["sha256"]:
            raise _torn(trial_id)
        return from_parquet(content)


def _torn(trial_id: str) -> RecordError:
    return RecordError(
        f"{trial_id}.parquet is not the file that {trial_id}.json was written with. "
        "Delete both to measure the trial again."
    )
