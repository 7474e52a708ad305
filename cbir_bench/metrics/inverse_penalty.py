"""Inverse negative penalty. Ye, Shen, Lin, Xiang, Shao and Hoi, IEEE TPAMI 44(6), 2022, section 4.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.per_query import divided, last_rank, n_found
from cbir_bench.metrics.requirements import need_complete, need_no_cutoff

if TYPE_CHECKING:
    from cbir_bench.core.metric import Quotients
    from cbir_bench.core.ranking import PositiveRanks


@METRICS.register("minp")
def inverse_negative_penalty(positives: PositiveRanks, k: int | None) -> Quotients:
    """R / rank of the last relevant item: the precision of whoever has to find them all.

    Person re-identification's mINP. It looks at the hardest item alone.

    >>> import numpy as np
    >>> from cbir_bench.core.ranking import PositiveRanks
    >>> hits = np.array([[True, False, True, False]])
    >>> inverse_negative_penalty(PositiveRanks.from_hits(hits, np.array([2])).completed(), None).scores
    array([0.66666667])
    """
    need_no_cutoff("minp", k, "the rank of the last relevant item decides")
    need_complete("minp", positives, instead="ap")
    found_all = n_found(positives) == positives.n_relevant
    numerator = np.where(found_all, positives.n_relevant, 0).astype(np.float64)
    return divided(numerator, np.maximum(last_rank(positives), 1), positives)
