"""Similarities of queries and base: fast in float32 with a known error, exact in float64 where it matters.

The order of a ranking is that of the float64 similarities of the float32 vectors, ties by id ascending.
A float32 matrix product decides it for all pairs further apart than its rounding error can reach
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); only the rest is computed
again. So neither the blocks nor the threads of the product can change a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space
    from cbir_bench.core.ground_truth import GroundTruth

BLOCK_BYTES: Final = 64 << 20
"""What one block of float32 similarities takes by default."""
_UNIT_ROUNDOFF: Final = 2.0**-24
_EXTRA_ROUNDINGS: Final = 6
"""Roundings beyond one per dimension: norms, differences, the band's own ends."""
_SMALLEST: Final = 2.0**-126
"""What a product may lose where it underflows, on machines that flush to zero as well."""
LANES: Final = 8
"""Sums that decide an order are added in so many lanes, by every way of counting."""
_ROWS_AT_ONCE: Final = 1 << 12
_EXACT_BYTES: Final = 16 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarities:
    """How similar every query is to every base item, computed when asked for.

    Attributes:
        queries: ``(n_queries, dim)``; in the space "cosine" with rows of length 1.
        base: ``(n_base, dim)``, likewise.
        space: cosine and ip: the inner product; l2: minus the squared distance.

    Raises:
        InvalidArrayError: if the dimensions differ, or vectors are too long for float32 products.
    """

    queries: Matrix
    base: Matrix
    space: Space

    def __post_init__(self) -> None:
        if self.queries.shape[1] != self.base.shape[1]:
            raise InvalidArrayError(
                f"The queries have {self.queries.shape[1]} dimensions and the base has "
                f"{self.base.shape[1]}. Embed both with the same model."
            )
        if not self._scale.max(initial=0.0) < np.finfo(np.float32).max:
            raise InvalidArrayError(
                f"Vectors of length {self._longest:.3g} overflow float32 products. Scale them down."
            )

    @classmethod
    def of(cls, vectors: Matrix, truth: GroundTruth, space: Space) -> Similarities:
        """Return the similarities of a protocol's queries and base, which are rows of ``vectors``."""
        if space == "cosine":
            vectors = unit_rows(vectors)
        return cls(
            queries=_rows(vectors, truth.query_rows),
            base=_rows(vectors, truth.base_rows),
            space=space,
        )

    @cached_property
    def symmetric(self) -> bool:
        """Whether queries and base are the same vectors, row by row.

        A quantised base is not what its queries are, though both are the same items.
        """
        if self.queries is self.base:
            return True
        starts = range(0, len(self.base), _ROWS_AT_ONCE)
        parts = (slice(start, start + _ROWS_AT_ONCE) for start in starts)
        return len(self.queries) == len(self.base) and all(
            np.array_equal(self.queries[part], self.base[part]) for part in parts
        )

    @cached_property
    def error(self) -> NDArray[np.float32]:
        """``(n_queries,)`` by how much a value of ``blocks`` may be off, whoever computes it."""
        roundings = (self.base.shape[1] + _EXTRA_ROUNDINGS) * _UNIT_ROUNDOFF
        bound = self._scale * roundings / (1 - roundings) + self.base.shape[1] * _SMALLEST
        rounded_up: NDArray[np.float32] = np.nextafter(bound.astype(np.float32), np.float32(np.inf))
        return rounded_up

    def blocks(self, rows_at_once: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the float32 similarities of consecutive queries to all of the base.

        In the space "l2" each row lacks the constant of its query's own squared length. The array is
        used again for the next block.

        Args:
            rows_at_once: queries per block.
        """
        n_queries, n_base = len(self.queries), len(self.base)
        buffer = np.empty((min(rows_at_once, n_queries), n_base), np.float32)
        for start in range(0, n_queries, rows_at_once):
            rows = slice(start, min(start + rows_at_once, n_queries))
            block = buffer[: rows.stop - rows.start]
            queries = self.queries[rows]
            np.matmul(queries + queries if self.space == "l2" else queries, self.base.T, out=block)
            if self.space == "l2":
                block -= self.base_squares.astype(np.float32)
            yield rows, block

    def exact(self, queries: NDArray[np.int64], ids: Ids) -> NDArray[np.float64]:
        """Return the float64 similarity of each pair, always added in the same order.

        Args:
            queries: ``(n_pairs,)`` rows of the queries.
            ids: ``(n_pairs,)`` rows of the base.
        """
        values = np.empty(len(ids), np.float64)
        step = max(1, _EXACT_BYTES // (16 * self.base.shape[1]))
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            left = self.queries[queries[part]].astype(np.float64)
            right = self.base[ids[part]].astype(np.float64)
            if self.space == "l2":
                left -= right
                values[part] = _added(-(left * left))
            else:
                values[part] = _added(left * right)
        return values

    @cached_property
    def base_squares(self) -> NDArray[np.float64]:
        """``(n_base,)`` squared lengths."""
        return _squares(self.base)

    @cached_property
    def _longest(self) -> float:
        return float(np.sqrt(self.base_squares.max(initial=0.0)))

    @cached_property
    def _scale(self) -> NDArray[np.float64]:
        """``(n_queries,)`` the largest magnitude that the terms of a similarity can add up to."""
        products: NDArray[np.float64] = np.sqrt(_squares(self.queries)) * self._longest
        return 2 * products + self._longest**2 if self.space == "l2" else products


def _added(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(n,)`` the sum of each row in eight lanes, as ``metrics.kernels`` adds it."""
    n, dim = terms.shape
    sums = np.zeros((LANES, n))
    for first in range(0, dim, LANES):
        lanes = terms[:, first : first + LANES].T
        sums[: len(lanes)] += lanes
    a, b, c, d, e, f, g, h = sums
    total: NDArray[np.float64] = ((a + e) + (c + g)) + ((b + f) + (d + h))
    return total


def leave_out_self(block: NDArray[np.float32], self_ids: Ids) -> None:
    """Put each query's own item below every other, by its id: a duplicate of it stays.

    Args:
        block: ``(n, n_base)`` similarities, changed.
        self_ids: ``(n,)`` base ids, or ``NO_ITEM``.
    """
    inside = np.flatnonzero(self_ids != NO_ITEM)
    block[inside, self_ids[inside]] = -np.inf


def _squares(matrix: Matrix) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    return squares


def _rows(vectors: Matrix, rows: NDArray[np.int64]) -> Matrix:
    """Return some rows, without a copy where they are all of them."""
    if len(rows) == len(vectors) and np.array_equal(rows, np.arange(len(vectors))):
        return vectors
    return np.ascontiguousarray(vectors[rows])
