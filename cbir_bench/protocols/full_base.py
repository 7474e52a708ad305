"""Leave-one-out: every item is a query against all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Lt

from cbir_bench.core.errors import DataError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.protocols.draw import lots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class FullBase:
    """Every item of the test split is in the base and is a query, itself excluded by its id.

    Roles of the data set are not looked at.

    Attributes:
        n_queries: at most so many items, drawn by seed, are queries; 0 for every item.
        seed: of the draw, at least 0.
    """

    n_queries: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """See ``protocols.protocol.Protocol``."""
        if len(rows) < 2:
            raise DataError(
                f"The test split of {dataset.name!r} has {len(rows)} item, but a query of the "
                'full base needs another one to find. Add images, or use "query-set".'
            )
        queries = self._queries(dataset, rows)
        return GroundTruth(
            query_rows=queries,
            base_rows=np.arange(len(rows)),
            query_labels=dataset.labels.take(rows[queries]),
            base_labels=dataset.labels.take(rows),
            self_ids=queries,
        )

    def _queries(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.n_queries == 0 or self.n_queries >= len(rows):
            return np.arange(len(rows))
        drawn = np.argsort(lots((dataset.ids[row] for row in rows), self.seed), kind="stable")
        return np.sort(drawn[: self.n_queries])
