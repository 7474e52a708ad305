"""Principal components of equal variance.

Jegou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening",
ECCV 2012; with a smaller power: Mukundan, Tolias, Bursuc, Jegou and Chum, "Understanding and improving kernel
local descriptors", IJCV 2019 (attenuated whitening).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from cbir_bench.core.registry import TRANSFORMS
from cbir_bench.transforms.blocks import changed_by_block, unit
from cbir_bench.transforms.principal import Principal, principal_directions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.transforms.blocks import Block


@TRANSFORMS.register("pca_whitening")
@dataclass(frozen=True, kw_only=True)
class PcaWhitening:
    """Principal components, each divided by a power of its variance, so that no few of them decide alone.

    Attributes:
        dim: how many dimensions stay; at most one less than there are training vectors. With nearly as
            many as these allow, the last ones are noise that whitening makes as loud as the first.
        power: of the variance to divide by, above 0: 0.5 gives all dimensions the same variance (full
            whitening), less only attenuates the first ones.
        normalise: whether vectors are scaled to length 1 afterwards, as in the paper.
    """

    LEARNS: ClassVar[bool] = True

    dim: Annotated[int, Ge(1), Le(65536)] = 128
    power: Annotated[float, Gt(0), Le(0.5)] = 0.5
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
        scales = principal.variances**-self.power

        def change(block: Block) -> Block:
            whitened: Block = principal.project(block) * scales
            return unit(whitened) if self.normalise else whitened

        return changed_by_block(vectors, self.dim, change)
