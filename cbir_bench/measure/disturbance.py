"""What other programs took from a measurement, by the kernel's own accounts (Linux).

- The scheduler notes for every thread how long it was ready to run but had to wait
  (``/proc/thread-self/schedstat``): what other programs on its core took from it, to the nanosecond.
- ``/proc/stat`` tells what all cores did, in ticks of 10 ms: the share that was computing without us, and
  the share that the hypervisor took (steal).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, process_time
from typing import Final, NamedTuple

_THREAD: Final = Path("/proc/thread-self/schedstat")
_CORES: Final = Path("/proc/stat")
_IDLE: Final = (3, 4)
"""Places of idle and iowait in a line of ``/proc/stat``."""
_STEAL: Final = 7
_COUNTED: Final = 8
"""Time of guests, which follows, is in the time of users already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disturbance:
    """What a stretch of time lost to others; shares from 0 to 1, None where the kernel does not tell.

    Attributes:
        seconds: how long the stretch was.
        waited: share of it that the calling thread was ready to run but had no core.
        foreign: share of all cores' time that other processes computed.
        steal: share of all cores' time that the hypervisor took.
    """

    seconds: float
    waited: float | None
    foreign: float | None
    steal: float | None

    @property
    def share(self) -> float:
        """What the measurement certainly lost: the thread's waiting, or else the steal; 0 if unknown."""
        return max(self.waited or 0.0, self.steal or 0.0)


class _Cores(NamedTuple):
    busy: float
    steal: float
    total: float


class _Reading(NamedTuple):
    at: float
    waited: float | None
    own_cpu: float
    cores: _Cores | None


class Watch:
    """Runs from when it is made until ``disturbance`` is asked for, in one and the same thread."""

    def __init__(self) -> None:
        self._start = _read()

    def disturbance(self) -> Disturbance:
        """Return what was lost since the watch was made."""
        first, last = self._start, _read()
        seconds = last.at - first.at
        waited = None
        if first.waited is not None and last.waited is not None and seconds > 0:
            waited = _share(last.waited - first.waited, seconds)
        foreign = steal = None
        if first.cores is not None and last.cores is not None:
            total = last.cores.total - first.cores.total
            if total > 0:
                own = last.own_cpu - first.own_cpu
                foreign = _share(last.cores.busy - first.cores.busy - own, total)
                steal = _share(last.cores.steal - first.cores.steal, total)
        return Disturbance(seconds=seconds, waited=waited, foreign=foreign, steal=steal)


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole))


def _read() -> _Reading:
    return _Reading(perf_counter_ns() / 1e9, _waited_seconds(), process_time(), _cores())


def _waited_seconds() -> float | None:
    with suppress(OSError, ValueError, IndexError):
        return int(_THREAD.read_text().split()[1]) / 1e9
    return None


def _cores() -> _Cores | None:
    """Return busy, stolen and all seconds of all cores together since the machine started."""
    with suppress(OSError, ValueError, IndexError):
        first = _CORES.read_text().partition("\n")[0].split()
        ticks = [int(number) / os.sysconf("SC_CLK_TCK") for number in first[1 : _COUNTED + 1]]
        idle, steal = sum(ticks[i] for i in _IDLE), ticks[_STEAL]
        return _Cores(sum(ticks) - idle - steal, steal, sum(ticks))
    return None
