"""Leaves out search settings that a cheaper one of the same index has made pointless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cbir_bench.core.registry import INDEXES

if TYPE_CHECKING:
    from cbir_bench.core.trial import Trial
    from cbir_bench.run.suite import StopAt

_LIBRARYS_OWN: Final = 0
"""An effort of 0 is the library's own choice or no limit at all; it is neither more nor less than others."""


class _Known(NamedTuple):
    trial: Trial
    knn_recall: float | None
    latency_us: float


def by_effort(trials: list[Trial]) -> list[Trial]:
    """Return the trials of one build from cheap to dear, those of equal effort in their order."""
    return sorted(trials, key=lambda trial: sorted(_effort(trial).items()))


class Pruner:
    """Remembers what the trials of one build have shown.

    A setting is left out where another one, with no search option of its effort larger and everything else
    the same, already finds enough of the exact neighbours, or takes too long.

    Args:
        stop_at: what is enough, and what is too long.
    """

    def __init__(self, stop_at: StopAt) -> None:
        self._stop_at = stop_at
        self._known: list[_Known] = []

    def note(self, trial: Trial, knn_recall: float | None, latency_us: float) -> None:
        """Remember the share of exact neighbours found and the microseconds of a single query."""
        self._known.append(_Known(trial, knn_recall, latency_us))

    def reason(self, trial: Trial) -> str | None:
        """Return why a trial is left out; None if it is not."""
        for known in self._known:
            if known.trial.id != trial.id and _dearer(trial, known.trial):
                found = self._found(known)
                if found is not None:
                    return f"The cheaper setting {known.trial.index} {found}"
        return None

    def _found(self, known: _Known) -> str | None:
        enough, longest = self._stop_at.knn_recall, self._stop_at.latency_us
        if enough is not None and known.knn_recall is not None and known.knn_recall >= enough:
            return f"finds {known.knn_recall:.4g} of the exact neighbours (stop_at knn_recall = {enough:g})."
        if longest is not None and known.latency_us > longest:
            return f"takes {known.latency_us:.0f} us per query (stop_at latency_us = {longest:g})."
        return None


def _dearer(one: Trial, other: Trial) -> bool:
    """Return whether two trials differ in effort alone, and the first has no less of any."""
    if _without_effort(one) != _without_effort(other):
        return False
    effort, less = _effort(one), _effort(other)
    if any(_LIBRARYS_OWN in {effort[n], less[n]} and effort[n] != less[n] for n in effort):
        return False
    return all(effort[name] >= less[name] for name in effort)


def _effort(trial: Trial) -> dict[str, Any]:
    names = INDEXES.get(trial.index.use).EFFORT
    return {name: value for name, value in trial.index.values.items() if name in names}


def _without_effort(trial: Trial) -> dict[str, Any]:
    names = INDEXES.get(trial.index.use).EFFORT
    table = trial.to_json()
    index = {name: value for name, value in table["index"].items() if name not in names}
    return {**table, "index": index}
