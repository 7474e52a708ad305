"""No transform: the vectors as the model gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cbir_bench.core.registry import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


@TRANSFORMS.register("none")
@dataclass(frozen=True, kw_only=True)
class NoTransform:
    """The vectors as the model gives them."""

    LEARNS: ClassVar[bool] = False

    def fit(self, training: Matrix) -> Mapping[str, NDArray[np.generic]]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def apply(self, vectors: Matrix, learned: Mapping[str, NDArray[np.generic]]) -> Matrix:  # noqa: ARG002
        """Return the vectors themselves."""
        return vectors
