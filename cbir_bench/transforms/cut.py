"""The first dimensions of vectors. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import TRANSFORMS
from cbir_bench.transforms.blocks import changed_by_block, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.transforms.blocks import Block


@TRANSFORMS.register("cut")
@dataclass(frozen=True, kw_only=True)
class Cut:
    """The first dimensions alone, for models that were trained so that these come first.

    For any other model it is a floor that "pca" of as many dimensions should beat.

    Attributes:
        dim: how many dimensions stay.
        normalise: whether vectors are scaled to length 1 afterwards.
    """

    LEARNS: ClassVar[bool] = False

    dim: Annotated[int, Ge(1), Le(65536)] = 128
    normalise: bool = True

    def fit(self, training: Matrix) -> Mapping[str, NDArray[np.generic]]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def apply(self, vectors: Matrix, learned: Mapping[str, NDArray[np.generic]]) -> Matrix:  # noqa: ARG002
        """See ``core.transform.Transform``."""
        if self.dim > vectors.shape[1]:
            raise SettingError(
                f"cut keeps dim = {self.dim} dimensions, but the vectors have {vectors.shape[1]}. "
                f"Set dim to {vectors.shape[1]} or less."
            )
        return changed_by_block(vectors, self.dim, self._first)

    def _first(self, block: Block) -> Block:
        first = block[:, : self.dim]
        return unit(first) if self.normalise else first
