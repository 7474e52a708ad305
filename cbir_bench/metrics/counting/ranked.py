"""What every way of computing complete rankings returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids


class Ranked(NamedTuple):
    """Where the relevant items of consecutive queries stand among all of the base.

    What is ignored stands nowhere and takes no rank. The order is that of the float64 similarities, ties
    by id ascending.

    Attributes:
        rows: the queries.
        starts: ``(n + 1,)``; the ``q``-th of them has ``ranks[starts[q]:starts[q + 1]]``.
        ranks: from 1, ascending within a query.
        items: the relevant item at each rank; None where nobody asked which it is.
    """

    rows: slice
    starts: NDArray[np.int64]
    ranks: NDArray[np.int64]
    items: Ids | None
