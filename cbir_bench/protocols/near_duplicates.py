"""Which of many vectors are nearly the same: pairs above a cosine, and the groups that they form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.arrays import as_matrix, unit_rows
from cbir_bench.core.dataset import UNKNOWN
from cbir_bench.core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix

BLOCK_BYTES: Final = 64 << 20
"""What one block of cosines takes by default; its pairs take as much again four times at most."""
_UNIT_ROUNDOFF: Final = 2.0**-24
_EXTRA_ROUNDINGS: Final = 6
_EXACT_BYTES: Final = 16 << 20


def near_duplicate_groups(
    vectors: Matrix, threshold: float, *, block_bytes: int = BLOCK_BYTES
) -> NDArray[np.int64]:
    """Return the group of each vector: those that pairs of at least a cosine connect.

    Two vectors of a group may be less alike than the threshold, if others between them are not.
    Neither blocks nor threads change the answer: cosines that float32 leaves unclear are computed again.

    Args:
        vectors: ``(n, dim)`` of any length but 0.
        threshold: lowest cosine of a pair, above -1 and at most 1.
        block_bytes: memory for a block of cosines.

    Returns:
        ``(n,)`` the first row of each one's group; -1 for a vector that is alone.

    Raises:
        InvalidArrayError: if a vector has no direction or is not finite.
        SettingError: if the threshold is out of range.
    """
    if not -1 < threshold <= 1:
        raise SettingError(
            f"A cosine of {threshold} divides no vectors into groups. Give one above -1, at most 1."
        )
    matrix = unit_rows(as_matrix(vectors, "vectors to compare"))
    first = np.arange(len(matrix))
    for left, right in similar_pairs(matrix, threshold, block_bytes=block_bytes):
        first = _connected(first, left, right)
    return _groups(first)


def groups_of_pairs(left: Ids, right: Ids, n: int) -> NDArray[np.int64]:
    """Return the group of each of ``n`` items: the first of those that pairs connect it to, or -1."""
    return _groups(_connected(np.arange(n), left, right))


def similar_pairs(
    vectors: Matrix, threshold: float, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[Ids, Ids]]:
    """Yield all pairs of rows whose inner product reaches a threshold, block by block.

    Args:
        vectors: ``(n, dim)`` of length 1.
        threshold: lowest inner product of a pair.
        block_bytes: memory for a block of products.

    Yields:
        ``(n_pairs,)`` rows, and as many larger ones that they are similar to.
    """
    n, dim = vectors.shape
    roundings = (dim + _EXTRA_ROUNDINGS) * _UNIT_ROUNDOFF
    error = roundings / (1 - roundings)
    step = max(1, block_bytes // (4 * n))
    for start in range(0, n, step):
        block = vectors[start : start + step] @ vectors[start:].T
        left, right = np.nonzero(block >= threshold - error)
        upper = left < right
        left, right = left[upper], right[upper]
        unclear = np.flatnonzero(block[left, right] < threshold + error)
        kept = np.ones(len(left), bool)
        kept[unclear] = (
            _products(vectors[start:], left[unclear], right[unclear])
            >= threshold - 2 * _UNIT_ROUNDOFF
        )
        yield left[kept] + start, right[kept] + start


def _products(vectors: Matrix, left: Ids, right: Ids) -> NDArray[np.float64]:
    """Return the float64 inner product of each pair, always added in the same order."""
    values = np.empty(len(left))
    step = max(1, _EXACT_BYTES // (16 * vectors.shape[1]))
    for start in range(0, len(left), step):
        part = slice(start, start + step)
        mine, other = (vectors[rows[part]].astype(np.float64) for rows in (left, right))
        values[part] = np.einsum("ij,ij->i", mine, other)
    return values


def _connected(first: Ids, left: Ids, right: Ids) -> Ids:
    """Return the first row of each row's group, after more pairs.

    Args:
        first: ``(n,)`` the first row of each row's group before.
        left: ``(n_pairs,)`` rows.
        right: ``(n_pairs,)`` rows in the same group as these.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    apart = first[left] != first[right]
    if not apart.any():
        return first
    n = len(first)
    ends = np.concatenate([np.arange(n), left[apart]]), np.concatenate([first, right[apart]])
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    _, first_of_group = np.unique(group, return_index=True)
    return np.asarray(first_of_group[group], np.int64)


def _groups(first: Ids) -> NDArray[np.int64]:
    alone = np.bincount(first, minlength=len(first))[first] == 1
    return np.where(alone, UNKNOWN, first)
