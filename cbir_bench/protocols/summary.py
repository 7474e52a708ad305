"""What a reader should know about a protocol's queries before reading any average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cbir_bench.core.ground_truth import GroundTruth


@dataclass(frozen=True, kw_only=True, slots=True)
class TruthSummary:
    """Sizes of a ground truth.

    Attributes:
        n_queries, n_base: how many there are.
        n_without_relevant: queries with nothing relevant in the base; averages leave them out.
        least_relevant, most_relevant: fewest and most relevant items of any other query.
    """

    n_queries: int
    n_base: int
    n_without_relevant: int
    least_relevant: int
    most_relevant: int

    def notes(self) -> tuple[str, ...]:
        """Return sentences for what would surprise a reader; none for a plain data set."""
        if not self.n_without_relevant:
            return ()
        share = f"{self.n_without_relevant} of {self.n_queries} queries"
        if self.n_without_relevant == self.n_queries:
            return (f"{share} have nothing relevant in the base: no label metric has a value.",)
        verb = "has" if self.n_without_relevant == 1 else "have"
        return (f"{share} {verb} nothing relevant in the base and no part in any average.",)


def summarise(truth: GroundTruth) -> TruthSummary:
    """Return the sizes of a ground truth."""
    counts = truth.n_relevant[truth.n_relevant > 0]
    return TruthSummary(
        n_queries=len(truth.query_rows),
        n_base=len(truth.base_rows),
        n_without_relevant=len(truth.query_rows) - len(counts),
        least_relevant=int(np.min(counts)) if len(counts) else 0,
        most_relevant=int(np.max(counts, initial=0)),
    )
