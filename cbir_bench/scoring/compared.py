"""Two systems on the same queries: every metric they share, with a correction for their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.metrics.comparison import compare as compare_scores
from cbir_bench.metrics.comparison import holm

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Scores
    from cbir_bench.metrics.comparison import Comparison


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Differences:
    """How the second of two systems differs from the first.

    Attributes:
        comparisons: by metric; a difference above 0 is in favour of the second.
        adjusted: Holm's p-values over all of these metrics.
    """

    comparisons: Mapping[str, Comparison]
    adjusted: Mapping[str, float]

    def table(self) -> str:
        """Return the differences as a table of text."""
        from cbir_bench.scoring.tables import difference_table

        return difference_table(self)

    def __str__(self) -> str:
        return self.table()


def differences(
    a: Mapping[str, Scores],
    b: Mapping[str, Scores],
    *,
    clusters: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Differences:
    """Return how the second system differs from the first in every metric that both have.

    Args:
        a: ``(n_queries,)`` values of the first system by metric; NaN where undefined.
        b: those of the second, for the same queries.
        clusters: ``(n_queries,)`` queries of one cluster are drawn together.
        seed: of the draws.

    Raises:
        InvalidArrayError: if they share no metric, or were not held against the same relevant items.
    """
    shared = [name for name in b if name in a]
    if not shared:
        raise InvalidArrayError(
            f"The systems have no metric in common: {', '.join(a)} and {', '.join(b)}. Compute the same."
        )
    found = {
        name: compare_scores(a[name], b[name], clusters=clusters, seed=seed) for name in shared
    }
    adjusted = holm([one.p_value for one in found.values()])
    return Differences(
        comparisons=found, adjusted=dict(zip(shared, map(float, adjusted), strict=True))
    )
