"""The relevant items of many queries at once, from inverted lists of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.ground_truth import GroundTruth


class Pairs(NamedTuple):
    """Queries and relevant items as compressed rows.

    Attributes:
        items: base ids, ascending within a query.
        starts: ``(n + 1,)``; the ``q``-th query has ``items[starts[q]:starts[q + 1]]``.
    """

    items: Ids
    starts: NDArray[np.int64]


class RelevantItems:
    """Who is relevant to whom, listed label by label.

    Args:
        truth: two items match if they share a label; a query never matches itself.
    """

    def __init__(self, truth: GroundTruth) -> None:
        base = truth.base_labels
        order = np.argsort(base.codes, kind="stable")
        self._truth = truth
        self._items = np.repeat(np.arange(len(base)), np.diff(base.starts))[order]
        counts = np.bincount(base.codes, minlength=len(base.names))
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def pairs(self, rows: slice) -> Pairs:
        """Return the relevant items of consecutive queries."""
        labels = self._truth.query_labels
        bounds = labels.starts[rows.start : rows.stop + 1]
        codes = labels.codes[bounds[0] : bounds[-1]]
        n_items = self._starts[codes + 1] - self._starts[codes]
        items = self._items[ragged_ranges(self._starts[codes], n_items)]
        per_label = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        queries = np.repeat(per_label, n_items)
        if not labels.single:
            n_base = len(self._truth.base_labels)
            queries, items = np.divmod(np.unique(queries * n_base + items), n_base)
        other = items != self._truth.self_ids[rows][queries]
        counts = np.bincount(queries[other], minlength=len(bounds) - 1)
        return Pairs(items=items[other], starts=np.concatenate([[0], np.cumsum(counts)]))


def ragged_ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``starts[i], starts[i] + 1, ...`` with ``counts[i]`` numbers for each i, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
