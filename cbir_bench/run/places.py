"""Where a run finds its inputs and keeps what it can use again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cbir_bench.core.dataset import DataContext


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders of one run.

    Attributes:
        context: where data sets and models find their files.
        weights: where trained checkpoints are kept.
        embeddings: where frozen embeddings are kept.
    """

    context: DataContext
    weights: Path
    embeddings: Path

    @classmethod
    def of(cls, suite: Path, data: tuple[Path, ...], cache: Path | None) -> Places:
        """Return the places of a suite file; relative paths are looked up in ``data``, then beside it."""
        home = cache or Path.home() / ".cache" / "cbir_bench"
        folders = (*(folder.expanduser() for folder in data), suite.resolve().parent, Path.cwd())
        return cls(
            context=DataContext(folders=tuple(dict.fromkeys(folders)), cache=home / "data"),
            weights=home / "weights",
            embeddings=home / "embeddings",
        )
