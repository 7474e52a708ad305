"""The k largest of every row of a matrix that is never held as a whole: bounds first, then few candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix

_FEWEST_GROUPS: Final = 256
_GROUPS_PER_RESULT: Final = 16
"""With so many groups hardly any two of the k largest share one, so that the bound is nearly tight."""
_KEPT_PER_RESULT: Final = 8
"""Candidates per result that may pile up before those that have lost are dropped."""


class Candidates(NamedTuple):
    """Entries that may be among the largest of their row; three arrays of one length.

    Attributes:
        rows: which query.
        ids: which base item.
        similarities: of the two.
    """

    rows: NDArray[np.int64]
    ids: Ids
    similarities: NDArray[np.float32]


def largest(
    similarities_to: Callable[[slice], Matrix], n_rows: int, n_base: int, k: int, step: int
) -> Ids:
    """Return the ``(n_rows, k)`` ids of the largest similarities, best first, ties by ascending id.

    Args:
        similarities_to: gives ``(n_rows, n)`` similarities to a slice of the base.
        n_rows: how many queries.
        n_base: how many base items.
        k: results per query, at most ``n_base``.
        step: base items per slice.
    """
    bound = np.full(n_rows, -np.inf, np.float32)
    found: list[Candidates] = []
    for start in range(0, n_base, max(step, k)):
        similarities = similarities_to(slice(start, min(start + max(step, k), n_base)))
        # k entries of one slice reach its bound, so the k-th largest of the whole row does, too.
        np.maximum(bound, lower_bound(similarities, k), out=bound)
        found.append(_reaching(similarities, bound, start))
        if sum(len(part.rows) for part in found) > _KEPT_PER_RESULT * k * n_rows:
            found = [best(_joined(found), n_rows, k)]
    return best(_joined(found), n_rows, k).ids.reshape(n_rows, k)


def lower_bound(similarities: Matrix, k: int) -> NDArray[np.float32]:
    """Return for each row a value that its k-th largest reaches; -inf where a row has fewer than ``k``.

    It is the k-th largest of the largest of disjoint groups: k groups hold one that reaches it.
    """
    n_rows, n_columns = similarities.shape
    if n_columns < k:
        return np.full(n_rows, -np.inf, np.float32)
    n_groups = max(_FEWEST_GROUPS, _GROUPS_PER_RESULT * k)
    size = n_columns // n_groups
    if size > 1:
        # Each group is a column of this view, so that whole rows are compared at once.
        groups = similarities[:, : size * n_groups].reshape(n_rows, size, n_groups)
        similarities = groups.max(axis=1)
    place = similarities.shape[1] - k
    bounds: NDArray[np.float32] = np.partition(similarities, place, axis=1)[:, place]
    return bounds


def best(candidates: Candidates, n_rows: int, k: int) -> Candidates:
    """Return the best ``k`` of each row, rows ascending, best first, ties by ascending id.

    Every row has at least ``k`` candidates, or all of them are returned.
    """
    rows, ids, similarities = candidates
    order = np.lexsort((ids, -similarities, rows))
    ends = np.searchsorted(rows[order], np.arange(n_rows + 1))
    counts = np.diff(ends)
    rank = np.arange(len(order)) - np.repeat(ends[:-1], counts)
    kept = order[rank < k]
    return Candidates(rows[kept], ids[kept], similarities[kept])


def _reaching(similarities: Matrix, bound: NDArray[np.float32], start: int) -> Candidates:
    """Return the entries that reach the bound of their row."""
    # ``flatnonzero`` of one long mask is much faster than ``nonzero`` of a matrix.
    places = np.flatnonzero(similarities >= bound[:, None])
    rows, columns = np.divmod(places, similarities.shape[1])
    return Candidates(rows, columns + start, similarities.reshape(-1)[places])


def _joined(parts: list[Candidates]) -> Candidates:
    rows, ids, similarities = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Candidates(rows, ids, similarities)
