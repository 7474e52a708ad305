"""Which trials a run consists of, as its plan.json says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cbir_bench.core.errors import RecordError

if TYPE_CHECKING:
    from pathlib import Path


def read_plan(run_folder: Path) -> tuple[str, ...]:
    """Return the ids of a run's trials, in the order of measuring, each once.

    Raises:
        RecordError: if the folder is no run.
    """
    path = run_folder / "plan.json"
    try:
        trials = json.loads(path.read_bytes())["trials"]
        return tuple(dict.fromkeys(str(trial_id) for trial_id in trials))
    except OSError as error:
        raise RecordError(
            f"{run_folder} is no folder of a run: plan.json: {error.strerror or error}. "
            "Give the folder that `cbir-bench run` wrote."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{path} does not list trials ({type(error).__name__}: {error}). "
            "Run the suite again; it repeats nothing that is measured."
        ) from error
