"""Ranks of relevant items with torch: the same counting where a GPU multiplies.

Blocks of queries against all of the base. Items below every threshold of their query are dropped at once; the
others are placed among the thresholds by binary search, with and without the band of rounding errors. Where
the two differ, similarities are added again in float64, in the order of ``counting.kernels``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.metrics.counting.ranked import Ranked
from cbir_bench.metrics.similarity import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.item_lists import ItemLists
    from cbir_bench.metrics.similarity import Similarities

_BYTES_PER_SCORE: Final = 64
"""The product, two places among the thresholds, and what is left open, which may be much."""
_BYTES_PER_PAIR: Final = 64
_SUMS_AT_ONCE: Final = 1 << 18


def ranked_on_device(
    similarities: Similarities,
    truth: GroundTruth,
    *,
    ordered: bool,
    memory_bytes: int,
    on_progress: Callable[[float], None] | None = None,
    device: str = "cuda",
) -> Iterator[Ranked]:
    """Yield the ranks of every query's relevant items, as ``counting.tiles.ranked_in_tiles`` does.

    Args: as there; ``memory_bytes`` is what a block may take on the device beyond the base.
        device: what torch calls it.
    """
    with _full_float32():
        counter = _Counter(similarities, device)
        n_queries = len(similarities.queries)
        step = _rows_at_once(truth, memory_bytes)
        for start in range(0, n_queries, step):
            rows = slice(start, min(start + step, n_queries))
            yield counter.ranked(rows, truth, ordered=ordered)
            if on_progress is not None:
                on_progress(rows.stop / n_queries)


def _rows_at_once(truth: GroundTruth, memory_bytes: int) -> int:
    most = int(np.max(truth.n_relevant, initial=0))
    per_row = _BYTES_PER_SCORE * len(truth.base_rows) + _BYTES_PER_PAIR * most
    return max(1, memory_bytes // per_row)


@contextmanager
def _full_float32() -> Iterator[None]:
    """Products in TF32 would be off by more than the bound on their error allows."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Thresholds(NamedTuple):
    """The relevant items of a block of queries, the worst first; rows are filled up with infinity.

    Attributes:
        items: ``(n, most)`` base ids.
        exact: ``(n, most)`` float64 similarities, ascending; equal ones by id descending.
        values: ``(n, most)`` the same in float32, less the query's own square.
        counts: ``(n,)`` how many each query has.
    """

    items: torch.Tensor
    exact: torch.Tensor
    values: torch.Tensor
    counts: torch.Tensor


class _Counter:
    """The base on a device, and blocks of queries counted against it."""

    def __init__(self, similarities: Similarities, device: str) -> None:
        import torch

        self._torch: Any = torch
        self._device = torch.device(device)
        self._l2 = similarities.space == "l2"
        self._similarities = similarities
        self._base = self._put(similarities.base)
        self._offset = self._put(similarities.base_squares.astype(np.float32)) if self._l2 else None

    def ranked(self, rows: slice, truth: GroundTruth, *, ordered: bool) -> Ranked:
        """Return the ranks of the relevant items of consecutive queries."""
        lists, ignored = truth.relevant_items(rows), truth.ignored_items(rows)
        queries = self._put(self._similarities.queries[rows])
        band = 2 * self._put(self._similarities.error[rows])
        block = self._block(queries)
        thresholds = self._thresholds(queries, lists)
        for left_out in (lists, ignored):
            block[self._put(left_out.queries), self._put(left_out.items)] = -self._torch.inf
        above = self._above(block, queries, band, thresholds).cpu().numpy()
        return _answer(rows, lists, above, thresholds.items.cpu().numpy() if ordered else None)

    def _put(self, array: Any) -> torch.Tensor:
        return self._torch.from_numpy(np.array(array)).to(self._device)

    def _block(self, queries: torch.Tensor) -> torch.Tensor:
        block = (2 * queries if self._l2 else queries) @ self._base.T
        return block if self._offset is None else block.sub_(self._offset)

    def _thresholds(self, queries: torch.Tensor, lists: ItemLists) -> _Thresholds:
        torch = self._torch
        shape = len(lists), max(1, int(lists.counts.max(initial=0)))
        owners, items = self._put(lists.queries), self._put(lists.items)
        counts = self._put(lists.counts)
        # Ids descend before a stable sort, so that of equal ones the greater id is the worse.
        places = self._put(lists.starts[1:])[owners] - 1 - torch.arange(len(items)).to(self._device)
        exact = torch.full(shape, torch.inf, dtype=torch.float64, device=self._device)
        exact[owners, places] = self._similarity64(queries, owners, items)
        ids = torch.zeros(shape, dtype=torch.int64, device=self._device)
        ids[owners, places] = items
        exact, order = torch.sort(exact, dim=1, stable=True)
        own = (queries.double() ** 2).sum(1, keepdim=True) if self._l2 else 0.0
        return _Thresholds(ids.gather(1, order), exact, (exact + own).float(), counts)

    def _above(
        self, block: torch.Tensor, queries: torch.Tensor, band: torch.Tensor, them: _Thresholds
    ) -> torch.Tensor:
        """Return ``(n, most)`` how many items are above each threshold."""
        torch = self._torch
        n, most = them.values.shape
        below = torch.searchsorted(them.values, block - band[:, None], out_int32=True)
        reached = torch.searchsorted(them.values, block + band[:, None], right=True, out_int32=True)
        rows, columns = torch.nonzero(reached > below, as_tuple=True)
        placed = self._placed(
            queries, them, rows, columns, below[rows, columns].long(), reached[rows, columns].long()
        )
        below[rows, columns] = placed.int()
        below += torch.arange(n, dtype=torch.int32, device=self._device)[:, None] * (most + 1)
        above = torch.bincount(below.ravel(), minlength=n * (most + 1)).reshape(n, most + 1)
        return above.flip(1).cumsum(1).flip(1)[:, 1:]

    def _placed(  # noqa: PLR0917
        self,
        queries: torch.Tensor,
        them: _Thresholds,
        rows: torch.Tensor,
        columns: torch.Tensor,
        low: torch.Tensor,
        high: torch.Tensor,
    ) -> torch.Tensor:
        """Return how many thresholds are below each item that float32 left open: a binary search."""
        similarity = self._similarity64(queries, rows, columns)
        high = self._torch.minimum(high, them.counts[rows])
        while bool((low < high).any()):
            middle = (low + high) // 2
            there = middle.clamp(max=them.exact.shape[1] - 1)
            theirs = them.exact[rows, there]
            wins = similarity > theirs
            wins |= (similarity == theirs) & (columns < them.items[rows, there])
            wins &= low < high
            low = self._torch.where(wins, middle + 1, low)
            high = self._torch.where(wins, high, middle)
        return low

    def _similarity64(
        self, queries: torch.Tensor, rows: torch.Tensor, items: torch.Tensor
    ) -> torch.Tensor:
        """Return the float64 similarity of each pair, added in eight lanes."""
        torch = self._torch
        sums = [
            self._added(queries[part_rows].double(), self._base[part_items].double())
            for part_rows, part_items in zip(
                torch.split(rows, _SUMS_AT_ONCE), torch.split(items, _SUMS_AT_ONCE), strict=True
            )
        ]
        return torch.cat(sums)

    def _added(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        terms = -((left - right) ** 2) if self._l2 else left * right
        terms = self._torch.nn.functional.pad(terms, (0, -terms.shape[1] % LANES))
        lanes = self._torch.zeros_like(terms[:, :LANES])
        for start in range(0, terms.shape[1], LANES):
            lanes += terms[:, start : start + LANES]
        a, b, c, d, e, f, g, h = lanes.T
        return ((a + e) + (c + g)) + ((b + f) + (d + h))


def _answer(
    rows: slice, lists: ItemLists, above: NDArray[np.int64], items: NDArray[np.int64] | None
) -> Ranked:
    """Return ranks, the best first, from what is above each threshold, the worst first."""
    places = np.arange(above.shape[1])
    there = places < lists.counts[:, None]
    ordered = np.sort(np.where(there, above, np.iinfo(np.int64).max), axis=1)
    ranks = (ordered + np.where(there, places + 1, 0))[there]
    if items is not None:
        owners = lists.queries
        place = np.arange(len(owners)) - lists.starts[owners]
        items = items[owners, lists.counts[owners] - 1 - place]
    return Ranked(rows, lists.starts, ranks, items)
