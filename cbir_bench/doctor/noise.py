"""The A/A noise floor: the same work against itself, in fresh processes, taken in turns.

Whatever difference two equal things show is noise, so a difference between unequal ones has to be larger.
Each pair of processes gives the logarithm of the ratio of their medians; which of the two came first is
drawn anew in each resample, since equal things have no order (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapters 13 and 15).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import CbirBenchError
from cbir_bench.measure.threads import thread_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
_RESAMPLES: Final = 2000
_LEAST_PAIRS: Final = 3
_SLOWEST_SECONDS: Final = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Smallest:
    """The smallest difference in median latency that is no noise, in percent.

    Attributes:
        percent: between two settings that are measured in one process each.
        low, high: its own 95 % interval.
        of_pairs_percent: between two settings that are measured in as many pairs of processes as here.
    """

    percent: float
    low: float
    high: float
    of_pairs_percent: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """The noise floor of one workload.

    Attributes:
        workload: in words.
        n_pairs: pairs of processes.
        median_us: median wall time of a query, in microseconds.
        wall: of wall times.
        cpu: of CPU times.
    """

    workload: str
    n_pairs: int
    median_us: float
    wall: Smallest
    cpu: Smallest


def noise_floors(seconds: float, tell: Callable[[str], None]) -> list[Floor]:
    """Measure for about ``seconds`` and return the floor of each workload; at least three pairs each.

    Args:
        seconds: above 0.
        tell: told what is done, before it is done.

    Raises:
        CbirBenchError: if a measuring process fails.
    """
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell(f"Measuring the same work against itself for about {seconds:g} s.")
        _run("build", folder)
        end = time.monotonic() + seconds
        n_pairs = 0
        while n_pairs < _LEAST_PAIRS or time.monotonic() < end:
            for _ in range(2):
                for workload, (wall_ns, cpu_ns) in json.loads(_run("measure", folder)).items():
                    wall[workload].append(wall_ns)
                    cpu[workload].append(cpu_ns)
            n_pairs += 1
    return [floor(workload, wall[workload], cpu[workload]) for workload in wall]


def floor(workload: str, wall_ns: Sequence[float], cpu_ns: Sequence[float]) -> Floor:
    """Return the floor from the medians of processes, in the order of measuring, two for a pair."""
    return Floor(
        workload=workload,
        n_pairs=len(wall_ns) // 2,
        median_us=sorted(wall_ns)[len(wall_ns) // 2] / 1e3,
        wall=smallest_difference(wall_ns),
        cpu=smallest_difference(cpu_ns),
    )


def smallest_difference(medians: Sequence[float]) -> Smallest:
    """Return the smallest difference that is no noise.

    Args:
        medians: above 0, of processes that do the same; each pair of neighbours is a comparison.
    """
    import numpy as np

    values = np.log(np.asarray(medians[: len(medians) // 2 * 2], np.float64))
    differences = values[1::2] - values[::2]
    random = np.random.default_rng(0)
    shape = (_RESAMPLES, len(differences))
    drawn = differences[random.integers(0, len(differences), shape)]
    drawn *= random.choice([-1.0, 1.0], shape)
    of_one = np.quantile(np.abs(drawn), CONFIDENCE, axis=1)
    ends = np.quantile(of_one, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    of_all = np.quantile(np.abs(drawn.mean(axis=1)), CONFIDENCE)
    found = _percent(np.array([of_one.mean(), *ends, of_all]))
    return Smallest(percent=found[0], low=found[1], high=found[2], of_pairs_percent=found[3])


def _percent(logarithms: NDArray[np.float64]) -> list[float]:
    import numpy as np

    percents: list[float] = (100 * np.expm1(logarithms)).tolist()
    return percents


def _run(task: str, folder: Path) -> str:
    command = [sys.executable, "-P", "-m", "cbir_bench.doctor.noise_worker", task, str(folder)]
    try:
        run = subprocess.run(  # noqa: S603  our own interpreter and module
            command,
            capture_output=True,
            text=True,
            timeout=_SLOWEST_SECONDS,
            check=True,
            env={**environ, **thread_environment(1), "PYTHONHASHSEED": "0"},
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise CbirBenchError(
            f"The process that measures noise did not end well ({error}). Try again, or give --noise 0."
        ) from error
    return run.stdout
