"""What a reader should know about a protocol's queries before reading any average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.ground_truth import GroundTruth


@dataclass(frozen=True, kw_only=True, slots=True)
class TruthSummary:
    """Sizes of a ground truth.

    Attributes:
        n_queries, n_base: how many there are.
        n_without_relevant: queries with nothing relevant in the base; averages leave them out.
        least_relevant, most_relevant: fewest and most relevant items of any other query.
        n_with_junk: queries that have junk in the base.
        most_junk: most junk items of any query.
        alike: whether graded relevance has only one grade.
        first_text: the first query, where queries are texts.
    """

    n_queries: int
    n_base: int
    n_without_relevant: int
    least_relevant: int
    most_relevant: int
    n_with_junk: int = 0
    most_junk: int = 0
    alike: bool = False
    first_text: str = ""

    def notes(self) -> tuple[str, ...]:
        """Return sentences for what would surprise a reader; none for a plain data set."""
        return (
            *self._on_texts(),
            *self._on_relevant(),
            *self._on_junk(),
            *self._on_grades(),
        )

    def _on_texts(self) -> tuple[str, ...]:
        if not self.first_text:
            return ()
        return (f"Queries are texts, the first is {self.first_text!r}.",)

    def _on_relevant(self) -> tuple[str, ...]:
        if not self.n_without_relevant:
            return ()
        share = f"{self.n_without_relevant} of {self.n_queries} queries"
        if self.n_without_relevant == self.n_queries:
            return (f"{share} have nothing relevant in the base: no label metric has a value.",)
        verb = "has" if self.n_without_relevant == 1 else "have"
        return (f"{share} {verb} nothing relevant in the base and no part in any average.",)

    def _on_junk(self) -> tuple[str, ...]:
        if not self.n_with_junk:
            return ()
        verb = "has" if self.n_with_junk == 1 else "have"
        items = "1 item" if self.most_junk == 1 else f"{self.most_junk} items"
        share = (
            f"{self.n_with_junk} of {self.n_queries} queries {verb} junk in the base, up to {items}"
        )
        return (f"{share}: it is removed from a ranking before anything is counted.",)

    def _on_grades(self) -> tuple[str, ...]:
        if not self.alike:
            return ()
        return ("Every item has one label, so that graded relevance has only one grade.",)


def summarise(truth: GroundTruth) -> TruthSummary:
    """Return the sizes of a ground truth."""
    counts = truth.n_relevant[truth.n_relevant > 0]
    junk = np.zeros(1, np.int64) if truth.junk is None else truth.junk.counts
    return TruthSummary(
        n_queries=len(truth.query_rows),
        n_base=len(truth.base_rows),
        n_without_relevant=len(truth.query_rows) - len(counts),
        least_relevant=int(np.min(counts)) if len(counts) else 0,
        most_relevant=int(np.max(counts, initial=0)),
        n_with_junk=int(np.count_nonzero(junk)),
        most_junk=int(np.max(junk, initial=0)),
        alike=truth.graded and truth.query_labels.single and truth.base_labels.single,
        first_text=truth.query_texts[0] if truth.query_texts else "",
    )


def group_note(groups: NDArray[np.int64]) -> str:
    """Return a sentence on the near-duplicates among items, whose groups are given, -1 for none."""
    _, sizes = np.unique(groups[groups >= 0], return_counts=True)
    sizes = sizes[sizes > 1]
    if not len(sizes):
        return f"None of {len(groups)} items of the test split is a near-duplicate of another."
    many = f"{len(sizes)} groups" if len(sizes) > 1 else "1 group"
    return (
        f"{sizes.sum()} of {len(groups)} items of the test split are near-duplicates of each other, "
        f"in {many} of up to {sizes.max()}."
    )
