"""Leave-one-out: every item is a query against all others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Lt

from cbir_bench.core.component import LATER
from cbir_bench.core.dataset import FINE
from cbir_bench.core.errors import DataError
from cbir_bench.protocols.draw import lots
from cbir_bench.protocols.relevance import Choice, relevance
from cbir_bench.protocols.truth import leave_one_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.ground_truth import GroundTruth


@dataclass(frozen=True, kw_only=True)
class FullBase:
    """Every item of the test split is in the base and is a query, itself excluded by its id.

    Roles of the data set are not looked at.

    Attributes:
        n_queries: at most so many items, drawn by seed, are queries; 0 for every item.
        seed: of the draw, at least 0.
        labels: which labels decide relevance, where a data set has several kinds: "fine" for its own,
            or the name of others, as "coarse".
        graded: whether items that share more labels are more relevant (Jaccard overlap), instead of all
            alike that share one.
        same_camera: where the data set tells of cameras, what to do with items of the query's class by
            the query's camera: "exclude" them from rankings as junk, or "keep" them as relevant.
        near_duplicates: "exclude" items from the rankings of their near-duplicates, or "keep" them. Where
            the data set has no groups of near-duplicates, the pictures themselves are compared.
    """

    n_queries: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    labels: str = field(default=FINE, metadata=LATER)
    graded: bool = field(default=False, metadata=LATER)
    same_camera: Choice = field(default="exclude", metadata=LATER)
    near_duplicates: Choice = field(default="keep", metadata=LATER)

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """See ``protocols.protocol.Protocol``."""
        if len(rows) < 2:
            raise DataError(
                f"The test split of {dataset.name!r} has {len(rows)} item, but a query of the "
                'full base needs another one to find. Add images, or use "query-set".'
            )
        if dataset.judgements is not None:
            raise DataError(
                f"The relevant items of {dataset.name!r} are listed for its queries alone, so the others "
                'cannot be queries. Use the protocol "query-set".'
            )
        found = relevance(
            dataset,
            rows,
            labels=self.labels,
            same_camera=self.same_camera,
            near_duplicates=self.near_duplicates,
        )
        return leave_one_out(
            found.labels,
            queries=self._queries(dataset, rows),
            cameras=found.cameras,
            groups=found.groups,
            graded=self.graded,
        )

    def _queries(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.n_queries == 0 or self.n_queries >= len(rows):
            return np.arange(len(rows))
        drawn = np.argsort(lots((dataset.ids[row] for row in rows), self.seed), kind="stable")
        return np.sort(drawn[: self.n_queries])
