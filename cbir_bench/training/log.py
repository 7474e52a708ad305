"""What a training run did, as it is kept beside its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """One training run.

    Attributes:
        losses: of every step.
        seconds, cpu_seconds: wall and CPU time of the steps, without reading the images.
        read_seconds: wall time of reading and resizing the images.
        n_images, n_classes: what was trained on.
        n_left_out: images left out because theirs is the only one of its class.
        device: "cpu" or "cuda".
    """

    losses: tuple[float, ...]
    seconds: float
    cpu_seconds: float
    read_seconds: float
    n_images: int
    n_classes: int
    n_left_out: int
    device: str

    def to_json(self) -> dict[str, Any]:
        """Return the log as a JSON object."""
        return {**asdict(self), "losses": list(self.losses)}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> TrainingLog:
        """Return the log that ``to_json`` wrote."""
        return cls(**{**table, "losses": tuple(table["losses"])})
