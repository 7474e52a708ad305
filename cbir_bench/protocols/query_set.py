"""Queries apart from the base: as the data set says, or drawn class by class."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from annotated_types import Ge, Gt, Lt

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.component import LATER
from cbir_bench.core.dataset import FINE, Role
from cbir_bench.core.errors import DataError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.judgements import Difficulty  # noqa: TC001  read with the options
from cbir_bench.protocols.draw import lots
from cbir_bench.protocols.relevance import Choice, relevance
from cbir_bench.protocols.truth import apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.item_lists import ItemLists
    from cbir_bench.core.judgements import Judgements

_OF_LABELS: Final = ("labels", "graded", "same_camera", "near_duplicates")
"""Options that mean nothing where people have listed what is relevant."""


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
        difficulty: where the data set lists easy, hard and junk items of each query (Revisited Oxford and
            Paris): "easy" ones alone are relevant and hard ones junk; "medium": both are relevant;
            "hard" ones alone, easy ones junk.
        labels: which labels decide relevance, where a data set has several kinds: "fine" for its own,
            or the name of others, as "coarse". Queries are drawn by the fine ones all the same.
        graded: whether items that share more labels are more relevant (Jaccard overlap), instead of all
            alike that share one.
        same_camera: where the data set tells of cameras, what to do with items of the query's class by
            the query's camera: "exclude" them from rankings as junk, or "keep" them as relevant.
        near_duplicates: "exclude" items from the rankings of their near-duplicates, or "keep" them. Where
            the data set has no groups of near-duplicates, the pictures themselves are compared.
    """

    query_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    difficulty: Difficulty = field(default="medium", metadata=LATER)
    labels: str = field(default=FINE, metadata=LATER)
    graded: bool = field(default=False, metadata=LATER)
    same_camera: Choice = field(default="exclude", metadata=LATER)
    near_duplicates: Choice = field(default="keep", metadata=LATER)

    def ground_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> GroundTruth:
        """See ``protocols.protocol.Protocol``."""
        queries, base = self._sides(dataset, rows)
        if dataset.judgements is not None:
            return self._judged(dataset, dataset.judgements, rows, queries, base)
        self._refuse(
            dataset, ("difficulty",), "nobody has listed easy and hard items of its queries"
        )
        found = relevance(
            dataset,
            rows,
            labels=self.labels,
            same_camera=self.same_camera,
            near_duplicates=self.near_duplicates,
        )
        cameras, groups = found.cameras, found.groups
        truth = apart(
            found.labels.take(queries),
            found.labels.take(base),
            query_cameras=None if cameras is None else cameras[queries],
            base_cameras=None if cameras is None else cameras[base],
            query_groups=None if groups is None else groups[queries],
            base_groups=None if groups is None else groups[base],
            graded=self.graded,
        )
        return replace(truth, query_rows=queries, base_rows=base)

    def _sides(
        self, dataset: Dataset, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of the rows are queries, and which are the base.

        Raises:
            DataError: if one of the two is empty.
        """
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
        return queries, base

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

    def _judged(
        self,
        dataset: Dataset,
        judgements: Judgements,
        rows: NDArray[np.int64],
        queries: NDArray[np.int64],
        base: NDArray[np.int64],
    ) -> GroundTruth:
        """Return the ground truth of queries whose relevant items somebody has listed."""
        self._refuse(dataset, _OF_LABELS, "people have listed what is relevant, not labels")
        judged = judgements.at(self.difficulty)
        new_ids = np.full(len(dataset), NO_ITEM, np.int64)
        new_ids[rows[base]] = np.arange(len(base))

        def of_base(lists: ItemLists) -> ItemLists:
            return lists.take(rows[queries]).renumbered(new_ids)

        return GroundTruth(
            query_rows=queries,
            base_rows=base,
            query_labels=dataset.labels.take(rows[queries]),
            base_labels=dataset.labels.take(rows[base]),
            self_ids=np.full(len(queries), NO_ITEM, np.int64),
            judged=of_base(judged.relevant),
            junk=of_base(judged.junk),
        )

    def _refuse(self, dataset: Dataset, options: tuple[str, ...], why: str) -> None:
        """Refuse options that were set and could have no effect."""
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in options and value != option.default:
                raise DataError(
                    f"{option.name} = {value!r} changes nothing for {dataset.name!r}: {why}. "
                    "Leave the option out."
                )


def _by_role(roles: NDArray[np.int8]) -> NDArray[np.bool_]:
    marked: NDArray[np.bool_] = roles == Role.QUERY
    return marked if marked.any() else roles != Role.BASE
