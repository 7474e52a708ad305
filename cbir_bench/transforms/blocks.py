"""Vectors changed block by block in float64, so that memory-mapped ones of any number fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cbir_bench.core.arrays import Matrix

_BLOCK_BYTES: Final = 32 << 20
"""Memory for one block, which holds a row at least."""
Block: TypeAlias = NDArray[np.float64]
"""``(n_rows, dim)`` some consecutive vectors."""


def blocks_of(vectors: Matrix) -> Iterator[tuple[slice, Block]]:
    """Yield which rows come next, and these as float64."""
    n, dim = vectors.shape
    step = max(1, _BLOCK_BYTES // (8 * dim))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        yield rows, vectors[rows].astype(np.float64)


def changed_by_block(vectors: Matrix, dim: int, change: Callable[[Block], Block]) -> Matrix:
    """Return ``(n, dim)`` float32: what ``change`` makes of each block, row by row."""
    changed = np.empty((len(vectors), dim), np.float32)
    for rows, block in blocks_of(vectors):
        changed[rows] = change(block)
    return changed


def unit(block: Block) -> Block:
    """Return rows of length 1; a row of zeros, which has no direction, stays as it is."""
    lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
    return block / np.where(lengths > 0, lengths, 1.0)[:, None]
