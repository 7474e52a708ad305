"""Seeded choices that depend on what items are called, never on their order."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def lots(ids: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """Return a number for each id that looks random; the lowest are drawn first.

    An item keeps its number when others come or go, so that a set that grows keeps most of its queries.
    """
    key = seed.to_bytes(8, "little", signed=False)
    digests = b"".join(blake2b(i.encode(), digest_size=8, key=key).digest() for i in ids)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
