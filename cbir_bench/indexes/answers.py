"""From the ids that a library returns to ``(n_queries, k)`` rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.arrays import NO_ITEM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from cbir_bench.core.arrays import Ids


def padded(lists: Sequence[ArrayLike], k: int) -> Ids:
    """Return ``(len(lists), k)`` int64 ids; lists shorter than ``k`` end in ``NO_ITEM``."""
    ids = np.full((len(lists), k), NO_ITEM, np.int64)
    for row, found in enumerate(lists):
        items = np.asarray(found, np.int64)[:k]
        ids[row, : len(items)] = items
    return ids
