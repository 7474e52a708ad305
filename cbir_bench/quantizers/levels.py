"""Evenly spaced levels between the bounds of each dimension. Jacob et al., CVPR 2018, section 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

Bounds: TypeAlias = Literal["minmax", "symmetric"]


class LevelsCodebook(NamedTuple):
    """How far levels lie apart and about what, each ``(dim,)`` float32."""

    step: NDArray[np.float32]
    middle: NDArray[np.float32]


def fit_levels(
    training: Matrix, *, bounds: Bounds, clip_percent: float, n_levels: int
) -> LevelsCodebook:
    """Return levels from bound to bound.

    Args:
        training: ``(n, dim)``.
        bounds: "minmax" from the smallest to the largest value, "symmetric" about 0.
        clip_percent: share of the values beyond either bound, in percent.
        n_levels: how many.
    """
    low, high = _range(training, clip_percent)
    if bounds == "symmetric":
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    step = (high - low) / (n_levels - 1)
    return LevelsCodebook(step.astype(np.float32), ((low + high) / 2).astype(np.float32))


def nearest_levels(codebook: LevelsCodebook, vectors: Matrix, n_levels: int) -> NDArray[np.float32]:
    """Return ``(n, dim)`` whole numbers from ``-(n_levels // 2)`` to ``(n_levels - 1) // 2``."""
    steps = vectors - codebook.middle
    # A dimension that never varied has a step of 0: whatever its level, its value is the middle.
    np.divide(steps, codebook.step, out=steps, where=codebook.step > 0)
    levels = np.rint(steps - _shift(n_levels))
    clipped: NDArray[np.float32] = np.clip(levels, -(n_levels // 2), (n_levels - 1) // 2)
    return clipped


def values_of(codebook: LevelsCodebook, levels: NDArray[np.generic], n_levels: int) -> Matrix:
    """Return the ``(n, dim)`` float32 values of levels."""
    values: Matrix = (levels.astype(np.float32) + _shift(n_levels)) * codebook.step
    values += codebook.middle
    return values


def _shift(n_levels: int) -> np.float32:
    """Return where level 0 lies, in steps from the middle: an even number of levels has none there."""
    return np.float32(0.0 if n_levels % 2 else 0.5)


def _range(training: Matrix, clip_percent: float) -> tuple[Matrix, Matrix]:
    if clip_percent == 0:  # the same numbers as the percentiles', without sorting
        return training.min(axis=0), training.max(axis=0)
    low, high = np.percentile(training, [clip_percent, 100 - clip_percent], axis=0)
    return low, high
