"""The border of the stage ``transforms``: from frozen vectors to others of the same items."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


class Transform(Protocol):
    """A frozen dataclass of options, registered in ``TRANSFORMS``.

    What it learns, it learns from the frozen vectors of the training split: ``fit`` is given no others.
    """

    LEARNS: ClassVar[bool]
    """Whether ``fit`` looks at training vectors; where not, no training split is needed. One that needs a
    number of them may say it in a property ``n_needed``, so that too few are refused before any work."""

    def fit(self, training: Matrix) -> Mapping[str, NDArray[np.generic]]:
        """Return what it learns from ``(n, dim)`` vectors of the training split; empty if it learns nothing.

        Raises:
            SettingError: if its options do not go with the number of vectors or of dimensions.
        """
        ...

    def apply(self, vectors: Matrix, learned: Mapping[str, NDArray[np.generic]]) -> Matrix:
        """Return ``(n, new_dim)`` float32 vectors of ``(n, dim)`` ones.

        Raises:
            SettingError: if its options do not go with the number of dimensions.
        """
        ...
