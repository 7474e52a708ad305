"""Vectors scaled to length 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cbir_bench.core.registry import TRANSFORMS
from cbir_bench.transforms.blocks import changed_by_block, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


@TRANSFORMS.register("l2")
@dataclass(frozen=True, kw_only=True)
class UnitLength:
    """Every vector divided by its length; for the spaces ip and l2, since cosine does so anyway."""

    LEARNS: ClassVar[bool] = False

    def fit(self, training: Matrix) -> Mapping[str, NDArray[np.generic]]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def apply(self, vectors: Matrix, learned: Mapping[str, NDArray[np.generic]]) -> Matrix:  # noqa: ARG002
        """Return ``(n, dim)`` vectors of length 1."""
        return changed_by_block(vectors, vectors.shape[1], unit)
