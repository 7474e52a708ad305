"""Queries apart from the base: as the data set says, or drawn class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.dataset import Role
from cbir_bench.core.errors import DataError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.protocols.draw import lots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class QuerySet:
    """Some items of the test split are queries, the others are the base.

    Where the data set gives roles, they decide: items without one join the base, or are the queries
    where none is marked as one. Otherwise a share of each class is drawn: at least one item of each class
    that has two, and never all. The class of an item with several labels is the first by name.

    Attributes:
        query_fraction: share of each class to draw, above 0 and below 1; no effect where the data set
            gives roles.
        seed: of the draw, at least 0.
    """

    query_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """See ``protocols.protocol.Protocol``."""
        roles = dataset.roles[rows]
        is_query = _by_role(roles) if (roles != Role.ANY).any() else self._drawn(dataset, rows)
        queries, base = np.flatnonzero(is_query), np.flatnonzero(~is_query)
        if not len(queries):
            raise DataError(
                f"The query-set of {dataset.name!r} has no query. Mark some items of its test split as "
                'queries, give a class two images, or use the protocol "full-base".'
            )
        if not len(base):
            raise DataError(
                f"All {len(queries)} items in the test split of {dataset.name!r} are queries, so there "
                'is nothing to search. Mark some as base, or use the protocol "full-base".'
            )
        return GroundTruth(
            query_rows=queries,
            base_rows=base,
            query_labels=dataset.labels.take(rows[queries]),
            base_labels=dataset.labels.take(rows[base]),
            self_ids=np.full(len(queries), NO_ITEM, np.int64),
        )

    def _drawn(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        classes = dataset.labels.take(rows).first()
        order = np.lexsort((lots((dataset.ids[row] for row in rows), self.seed), classes))
        sizes = np.bincount(classes)
        wanted = np.rint(self.query_fraction * sizes).astype(np.int64)
        wanted = np.clip(wanted, np.minimum(1, sizes - 1), sizes - 1)
        first = np.cumsum(sizes) - sizes
        drawn = classes[order]
        is_query = np.zeros(len(rows), bool)
        is_query[order] = np.arange(len(rows)) - first[drawn] < wanted[drawn]
        return is_query


def _by_role(roles: NDArray[np.int8]) -> NDArray[np.bool_]:
    marked: NDArray[np.bool_] = roles == Role.QUERY
    return marked if marked.any() else roles != Role.BASE
