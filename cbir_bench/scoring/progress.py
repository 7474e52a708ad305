"""A bar with the time left, on a terminal, for what takes long enough to wonder."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cbir_bench.run.progress import LiveProgress

_PATIENCE_SECONDS: Final = 1.0
_STEPS: Final = 100


class Waiting:
    """Told of shares of the work that are done; silent where nobody looks, and at first.

    Args:
        title: what is being done.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._live: LiveProgress | None = None

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.close()

    def __call__(self, share: float) -> None:
        """Move the bar to ``share``, from 0 to 1."""
        if self._live is None and self._long_and_seen():
            from cbir_bench.run.progress import LiveProgress

            self._live = LiveProgress().__enter__()
            self._live.stage(self._title, _STEPS)
        if self._live is not None:
            self._live.step(int(share * _STEPS), "per cent")

    def _long_and_seen(self) -> bool:
        return sys.stderr.isatty() and time.monotonic() - self._began > _PATIENCE_SECONDS
