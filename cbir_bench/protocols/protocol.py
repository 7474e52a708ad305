"""The border of the stage ``protocols``: from items with labels to queries, base and relevance."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.ground_truth import GroundTruth


class Protocol(typing.Protocol):
    """A frozen dataclass of options, listed in ``PROTOCOLS``."""

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """Return who is a query, who is the base, and who is relevant to whom.

        Depends on the items' ids and labels, never on their order.

        Args:
            dataset: the items.
            rows: ``(n_items,)`` those of the test split, ascending; ``query_rows`` and ``base_rows`` of
                the answer are positions in it, as embeddings have them.

        Raises:
            DataError: if there is no query, or nothing that a query could find.
        """
        ...
