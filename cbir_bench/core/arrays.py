"""Names for the arrays that cross a border between stages, and the checks they pass once."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbir_bench.core.errors import InvalidArrayError

Matrix: TypeAlias = NDArray[np.float32]
"""``(n, dim)`` float32 vectors, C-contiguous, finite."""
Ids: TypeAlias = NDArray[np.int64]
"""Rows of the base; ``NO_ITEM`` where there is none."""
Image: TypeAlias = NDArray[np.uint8]
"""``(height, width, 3)`` uint8, RGB."""
Scores: TypeAlias = NDArray[np.float64]
"""``(n_queries,)`` metric values; NaN where the metric is undefined."""
Space: TypeAlias = Literal["cosine", "ip", "l2"]

NO_ITEM: Final = -1
SPACES: Final[tuple[Space, ...]] = ("cosine", "ip", "l2")


def as_matrix(values: Any, what: str) -> Matrix:
    """Return ``values`` as a C-contiguous float32 matrix without NaN, infinity or rows of zero.

    Args:
        values: anything that NumPy reads as an ``(n, dim)`` array; copied only if it has to be.
        what: what the rows are, for the message ("embeddings of model 'resnet'").

    Raises:
        InvalidArrayError: if it is not two-dimensional, is empty, or has a bad row.
    """
    matrix = np.ascontiguousarray(values, dtype=np.float32)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InvalidArrayError(
            f"The {what} have shape {matrix.shape}. Give a matrix with one row per item."
        )
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(squares))
    if len(bad):
        raise InvalidArrayError(
            f"{len(bad)} of {len(matrix)} rows of the {what} hold NaN or infinity, the first is "
            f"row {bad[0]}. Check the model's weights and its input."
        )
    zero = np.flatnonzero(squares == 0)
    if len(zero):
        raise InvalidArrayError(
            f"{len(zero)} of {len(matrix)} rows of the {what} are all zero, the first is row "
            f"{zero[0]}; they have no direction to compare. Check the model's weights and its input."
        )
    return matrix


def unit_rows(matrix: Matrix) -> Matrix:
    """Return the rows scaled to length 1 (computed in float64, so that the result is exact to one ulp)."""
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    return np.ascontiguousarray((matrix / norms[:, None]).astype(np.float32))
