"""Principal components of vectors. Pearson, "On lines and planes of closest fit", 1901."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from cbir_bench.core.registry import TRANSFORMS
from cbir_bench.transforms.blocks import changed_by_block, unit
from cbir_bench.transforms.principal import Principal, principal_directions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.transforms.blocks import Block


@TRANSFORMS.register("pca")
@dataclass(frozen=True, kw_only=True)
class Pca:
    """Vectors moved to the mean of the training vectors, turned, and cut where these vary least.

    Attributes:
        dim: how many dimensions stay; at most one less than there are training vectors.
        normalise: whether vectors are scaled to length 1 afterwards.
    """

    LEARNS: ClassVar[bool] = True

    dim: Annotated[int, Ge(1), Le(65536)] = 128
    normalise: bool = True

    @property
    def n_needed(self) -> int:
        """Training vectors that it takes at least: n of them vary in n - 1 directions."""
        return self.dim + 1

    def fit(self, training: Matrix) -> Mapping[str, NDArray[np.generic]]:
        """Return the mean, the directions and the variances along them; see ``transforms.principal``."""
        return principal_directions(training, self.dim)._asdict()

    def apply(self, vectors: Matrix, learned: Mapping[str, NDArray[np.generic]]) -> Matrix:
        """See ``core.transform.Transform``."""
        principal = Principal.of_arrays(learned)

        def change(block: Block) -> Block:
            projected = principal.project(block)
            return unit(projected) if self.normalise else projected

        return changed_by_block(vectors, self.dim, change)
