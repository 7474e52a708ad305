"""Paths as users write them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def expand_user(path: str | Path) -> Path:
    """Return the path with ``~`` or ``~user`` replaced by that home, or as it is where there is none."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)
