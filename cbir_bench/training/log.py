"""What a training run did, as it is kept beside its checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

_SERIES: Final = ("losses", "learning_rates", "light")


class Validation(TypedDict):
    """What held-out images said.

    Attributes:
        step: steps done by then.
        scores: by name of the metric; the first one decides.
    """

    step: int
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """One training run. Of logs written before an attribute was there, it has the default.

    Attributes:
        losses: of every step.
        learning_rates: of every step, the network's own (not those of the loss's weights).
        light: of every step, the share of zero-loss pairs or triplets among those that the miner
            chose (``cbir_bench.training.light``); NaN for losses that are never zero.
        validations: in the order of their steps.
        best_step: steps done when the weights were as they are kept.
        stopped_early: whether validations stopped getting better.
        seconds, cpu_seconds: wall and CPU time of the steps, over all attempts, without reading images,
            validating and saving.
        validation_seconds: wall time of validating.
        read_seconds: wall time of reading and resizing the images, of the last attempt.
        n_images, n_classes: what was trained on.
        n_left_out: images left out because theirs is the only one of its class.
        n_held_out: classes of the training split that were validated on.
        n_resumed: how often training went on from a saved state.
        device: "cpu" or "cuda".
        precision: of the forward pass, "float32", "bfloat16" or "float16".
    """

    losses: tuple[float, ...]
    learning_rates: tuple[float, ...] = ()
    light: tuple[float, ...] = ()
    validations: tuple[Validation, ...] = ()
    best_step: int = 0
    stopped_early: bool = False
    seconds: float
    cpu_seconds: float
    validation_seconds: float = 0.0
    read_seconds: float
    n_images: int
    n_classes: int
    n_left_out: int
    n_held_out: int = 0
    n_resumed: int = 0
    device: str
    precision: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the log as a JSON object; NaN is null."""
        table = asdict(self)
        series = {name: [_or_null(value) for value in table[name]] for name in _SERIES}
        validations = [
            {**one, "scores": {name: _or_null(value) for name, value in one["scores"].items()}}
            for one in table["validations"]
        ]
        return {**table, **series, "validations": validations}

    @property
    def learnt(self) -> bool:
        """Whether the loss fell, or the share of light pairs rose: see ``learns``."""
        return learns(self.losses, self.light)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> TrainingLog:
        """Return the log that ``to_json`` wrote.

        Raises:
            TypeError: if it is something else.
            KeyError: likewise.
        """
        known = {field.name for field in fields(cls)}
        series = {name: tuple(map(_or_nan, table.get(name, ()))) for name in _SERIES}
        best_step = table.get("best_step", len(table["losses"]))
        validations = tuple(
            Validation(step=one["step"], scores={n: _or_nan(v) for n, v in one["scores"].items()})
            for one in table.get("validations", ())
        )
        plain = {name: value for name, value in table.items() if name in known}
        return cls(**{**plain, **series, "validations": validations, "best_step": best_step})


def learns(losses: Sequence[float], light: Sequence[float]) -> bool:
    """Return whether the loss fell to zero or at all, or ever more pairs have none.

    The last tenth of the steps is compared with the first tenth, by means. Contrastive and triplet losses
    are means over the pairs that have a loss, and can rise while these become few: a share of
    light pairs that rises is learning, too. Without two losses there is nothing to compare.

    Args:
        losses: of every step; NaN is left out.
        light: of every step, the share of light pairs; likewise, and empty where it is not known.
    """
    loss, share = _first_and_last(losses), _first_and_last(light)
    if loss is None:
        return True
    more_light = share is not None and share.last > share.first
    return loss.last < loss.first or loss.last == 0 or more_light


class _Ends(NamedTuple):
    first: float
    last: float


def _first_and_last(series: Sequence[float]) -> _Ends | None:
    """Return the means of the first and of the last tenth; None if there are not two values."""
    known = [value for value in series if not math.isnan(value)]
    n = math.ceil(len(known) / 10)
    return _Ends(fmean(known[:n]), fmean(known[-n:])) if len(known) > 1 else None


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
