"""What has happened in a training run so far: numbers only, so that it can be saved with the state."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cbir_bench.training.learner import Step
    from cbir_bench.training.log import Validation

_SERIES: Final = ("losses", "rates", "light")
_NUMBERS: Final = ("seconds", "cpu_seconds", "validation_seconds", "n_resumed")


@dataclass(kw_only=True)
class History:
    """Grows by a step and, now and then, a validation.

    Attributes:
        losses, rates, light: of every step.
        validations: in order.
        seconds, cpu_seconds: wall and CPU time of the steps.
        validation_seconds: wall time of the validations.
        n_resumed: how often training went on from a saved state.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    light: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    validation_seconds: float = 0.0
    n_resumed: int = 0

    @property
    def n_steps(self) -> int:
        """Steps done."""
        return len(self.losses)

    @property
    def best(self) -> int:
        """The place of the best validation by its first score, the earliest of equals; -1 without any."""
        firsts = [_first(one) for one in self.validations]
        return firsts.index(max(firsts)) if firsts else -1

    def is_over(self, n_steps: int, patience: int) -> bool:
        """Whether all steps are done, or the last ``patience`` validations brought nothing better."""
        return self.n_steps >= n_steps or self.stopped_early(n_steps, patience)

    def stopped_early(self, n_steps: int, patience: int) -> bool:
        """Whether training ends before its last step."""
        n_since = len(self.validations) - 1 - self.best
        return 0 < patience <= n_since and self.n_steps < n_steps

    def add(self, step: Step) -> None:
        """Take note of a step."""
        self.losses.append(step.loss)
        self.rates.append(step.rate)
        self.light.append(step.light)

    def note(self) -> str:
        """Return what a progress bar shows beside the loss."""
        parts = []
        if self.validations:
            name, value = next(iter(self.validations[-1]["scores"].items()))
            parts.append(f"{name} {value:.3f}")
        if self.light and not math.isnan(self.light[-1]):
            parts.append(f"{100 * self.light[-1]:.0f} % light")
        return ", ".join(parts)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Count the block's time as that of a step."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Count the block's time as that of a validation."""
        wall = time.perf_counter()
        yield
        self.validation_seconds += time.perf_counter() - wall

    def state(self) -> dict[str, Any]:
        """Return everything, as tensors and plain containers."""
        import torch

        series = {name: torch.tensor(getattr(self, name), dtype=torch.float64) for name in _SERIES}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**series, **numbers, "validations": [dict(one) for one in self.validations]}

    @classmethod
    def resumed(cls, state: Mapping[str, Any]) -> History:
        """Return what ``state`` told, resumed once more."""
        series = {name: state[name].tolist() for name in _SERIES}
        numbers = {name: state[name] for name in _NUMBERS}
        numbers["n_resumed"] += 1
        return cls(**series, **numbers, validations=list(state["validations"]))


def _first(validation: Validation) -> float:
    value = next(iter(validation["scores"].values()))
    return -math.inf if math.isnan(value) else value
