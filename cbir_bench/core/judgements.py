"""The noun Judgements: what people have said of each query's items, beyond any label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.item_lists import ItemLists

Difficulty: TypeAlias = Literal["easy", "medium", "hard"]


class Judged(NamedTuple):
    """The relevant items of each query, and those that are neither relevant nor wrong."""

    relevant: ItemLists
    junk: ItemLists


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgements:
    """Three lists for every query. Radenovic, Iscen, Tolias, Avrithis and Chum, CVPR 2018, section 3.

    Attributes:
        easy: items that show the query's object clearly.
        hard: items that show it, but from afar, from another side, or half hidden.
        junk: items of which nobody can tell.

    Raises:
        InvalidArrayError: if the lists are of different queries, or an item is in two of a query's.
    """

    easy: ItemLists
    hard: ItemLists
    junk: ItemLists

    def __post_init__(self) -> None:
        if len({len(self.easy), len(self.hard), len(self.junk)}) > 1:
            raise InvalidArrayError(
                f"There are easy items of {len(self.easy)} queries, hard ones of {len(self.hard)} and junk "
                f"of {len(self.junk)}. Give each query all three lists, empty ones included."
            )
        self._check_twice("easy", self.easy, "hard", self.hard)
        self._check_twice("easy", self.easy, "junk", self.junk)
        self._check_twice("hard", self.hard, "junk", self.junk)

    def at(self, difficulty: Difficulty) -> Judged:
        """Return what is relevant and what is junk; every list is one or the other, or wrong to find.

        Easy: easy items are relevant, hard ones junk. Medium: both are relevant. Hard: hard items are
        relevant, easy ones junk. Junk is always junk.
        """
        if difficulty == "easy":
            return Judged(self.easy, self.junk.union(self.hard))
        if difficulty == "hard":
            return Judged(self.hard, self.junk.union(self.easy))
        return Judged(self.easy.union(self.hard), self.junk)

    def __len__(self) -> int:
        return len(self.easy)

    @staticmethod
    def _check_twice(name: str, lists: ItemLists, other_name: str, others: ItemLists) -> None:
        alone = lists.without(others)
        if len(alone.items) < len(lists.items):
            query = int(np.flatnonzero(alone.counts < lists.counts)[0])
            raise InvalidArrayError(
                f"An item of query {query} is in its {name} list and in its {other_name} list. "
                "Judge it one way."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RevisitedGroundTruth:
    """The ground truth of Revisited Oxford or Paris, as its own file has it.

    Attributes:
        query_names: file names without their ending.
        base_names: likewise; ids in ``judgements`` are places in them.
        boxes: ``(n_queries, 4)`` left, top, right and bottom of the part of each query's picture that is
            the query, in pixels.
        judgements: of every query.
    """

    query_names: tuple[str, ...]
    base_names: tuple[str, ...]
    boxes: NDArray[np.float64]
    judgements: Judgements


def landmark_of(name: str) -> str:
    """Return what an image of Oxford or Paris was found under: its name without the number at its end.

    It is no relevance: it decides only which queries a mean over classes takes together.
    """
    stem, _, number = name.rpartition("_")
    return stem if stem and number.isdecimal() else name
