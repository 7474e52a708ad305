"""Where a run finds its inputs and keeps what it can use again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import SettingError
from cbir_bench.core.paths import expand_user


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders of one run.

    Attributes:
        context: where data sets and models find their files.
        weights: where trained checkpoints are kept.
        learned: where vocabularies and fitted transforms are kept.
        embeddings: where frozen embeddings are kept.
    """

    context: DataContext
    weights: Path
    learned: Path
    embeddings: Path

    @classmethod
    def of(cls, suite: Path, data: tuple[Path, ...], cache: Path | None) -> Places:
        """Return the places of a suite file; relative paths are looked up in ``data``, then beside it.

        Raises:
            SettingError: if no cache is given and the user has no home to keep it in.
        """
        home = _usual_cache() if cache is None else expand_user(cache)
        folders = (*map(expand_user, data), suite.resolve().parent, Path.cwd())
        return cls(
            context=DataContext(folders=tuple(dict.fromkeys(folders)), cache=home / "data"),
            weights=home / "weights",
            learned=home / "learned",
            embeddings=home / "embeddings",
        )


def _usual_cache() -> Path:
    try:
        return Path.home() / ".cache" / "cbir_bench"
    except RuntimeError as error:
        raise SettingError(
            "You have no home directory to keep trained weights and embeddings in. "
            "Give a folder with --cache or CBIR_BENCH_CACHE."
        ) from error
