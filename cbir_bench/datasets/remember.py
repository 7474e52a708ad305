"""What can be found out again is kept in a file of the cache, whole or not at all."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def remember(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file at once, so that a reader beside us never sees half of it.

    Where it cannot be written nothing is remembered and nothing half-written stays, which costs time only.

    Args:
        path: of the file; its folder is made.
        write: writes what is to be in it.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  a descriptor
                write(file)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
