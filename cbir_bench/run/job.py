"""What a worker is told: one index build with all trials that search it, as a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir_bench.core.component import Setting
from cbir_bench.core.hashing import canonical_json
from cbir_bench.measure.settings import MeasureSettings

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Space


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTrial:
    """One way to search the index that the job builds.

    Attributes:
        trial_id: names the trial in events and its arrays' file.
        index: the index with every option of this trial; the build options are the job's.
        reranker: the second look at the ranking.
        k: results per query, the query itself not counted.
    """

    trial_id: str
    index: Setting
    reranker: Setting
    k: int

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object."""
        return {
            "trial_id": self.trial_id,
            "index": self.index.to_json(),
            "reranker": self.reranker.to_json(),
            "k": self.k,
        }

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> JobTrial:
        """Return the trial that ``to_json`` wrote."""
        return cls(
            trial_id=table["trial_id"],
            index=_setting(table["index"]),
            reranker=_setting(table["reranker"]),
            k=table["k"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One build and its trials.

    Attributes:
        build_key: names the build in its cost.
        index: the index to build, with every option.
        space: the similarity that is searched.
        n_threads: threads of the build and of batch search; single queries use one.
        base_path: ``(n_base, dim)`` float32 in a .npy file, of length 1 in the space "cosine".
        original_path: the same before the quantiser; the same file where there is none.
        queries_path: ``(n_queries, dim)``, likewise.
        self_ids_path: ``(n_queries,)`` int64, the base row that is the query itself, or ``NO_ITEM``;
            None if no query is in the base.
        measure: how to measure.
        trials: measured in this order.
        out_folder: where the arrays of each trial are written; made if it is not there.
        plugins: modules, or paths of .py files, that register components of the user's own.
    """

    build_key: str
    index: Setting
    space: Space
    n_threads: int
    base_path: Path
    original_path: Path
    queries_path: Path
    self_ids_path: Path | None
    measure: MeasureSettings
    trials: tuple[JobTrial, ...]
    out_folder: Path
    plugins: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the job as a JSON object."""
        return {
            "build_key": self.build_key,
            "index": self.index.to_json(),
            "space": self.space,
            "n_threads": self.n_threads,
            "base_path": str(self.base_path),
            "original_path": str(self.original_path),
            "queries_path": str(self.queries_path),
            "self_ids_path": None if self.self_ids_path is None else str(self.self_ids_path),
            "measure": asdict(self.measure),
            "trials": [trial.to_json() for trial in self.trials],
            "out_folder": str(self.out_folder),
            "plugins": list(self.plugins),
        }

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Job:
        """Return the job that ``to_json`` wrote."""
        self_ids = table["self_ids_path"]
        return cls(
            build_key=table["build_key"],
            index=_setting(table["index"]),
            space=table["space"],
            n_threads=table["n_threads"],
            base_path=Path(table["base_path"]),
            original_path=Path(table["original_path"]),
            queries_path=Path(table["queries_path"]),
            self_ids_path=None if self_ids is None else Path(self_ids),
            measure=MeasureSettings(**table["measure"]),
            trials=tuple(JobTrial.from_json(trial) for trial in table["trials"]),
            out_folder=Path(table["out_folder"]),
            plugins=tuple(table["plugins"]),
        )

    def write(self, path: Path) -> None:
        """Write the job into a file."""
        path.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Return the job in a file."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))


def _setting(table: dict[str, Any]) -> Setting:
    options = {name: value for name, value in table.items() if name != "use"}
    return Setting(use=table["use"], options=canonical_json(options))
