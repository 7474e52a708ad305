"""What codebooks have in common: the vectors they are learnt from, and their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cbir_bench.core.arrays import Matrix


def sampled(vectors: Matrix, n_training: int, seed: int) -> Matrix:
    """Return ``n_training`` rows, drawn without replacement, in their order; all where 0 or too few."""
    if n_training == 0 or n_training >= len(vectors):
        return vectors
    rows = np.random.default_rng(seed).choice(len(vectors), n_training, replace=False)
    return vectors[np.sort(rows)]


def array_bytes(arrays: Iterable[Any]) -> int:
    """Return the bytes of all arrays."""
    return sum(int(array.nbytes) for array in arrays)
