"""Ranks of the relevant items in complete rankings, which are never stored.

Tiles of a float32 matrix product, and for every relevant item the number of base items above it. Memory is
bounded; the numbers depend neither on it nor on threads or device, because the order is that of float64
similarities wherever float32 could err (see ``metrics.similarity``). Ties go by id ascending. Three ways lead
to the same ranks: NumPy alone for few items, compiled loops for many, and torch where there is a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from cbir_bench.core.errors import SettingError
from cbir_bench.core.metric import Quotients
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.metrics.names import MetricName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.metrics.counting.ranked import Ranked
    from cbir_bench.metrics.similarity import Similarities

Device: TypeAlias = Literal["auto", "numpy", "cpu", "cuda"]
"""numpy: without compiled loops; auto: cuda for much work where there is one, numpy for little, else cpu."""

MEMORY_BYTES: Final = 512 << 20
"""What counting may hold at once by default, beyond vectors and ranks."""
_COMPILED_FROM: Final = 100_000_000
"""Pairs of a query and a base item from which loading compiled loops is worth its second."""
_CUDA_FROM: Final = 5_000_000_000
_PAIRS_AT_ONCE: Final = 1 << 20
_QUERIES_AT_ONCE: Final = 1 << 16


def complete_quotients(
    names: Iterable[str | MetricName],
    similarities: Similarities,
    truth: GroundTruth,
    *,
    memory_bytes: int = MEMORY_BYTES,
    device: Device = "auto",
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Quotients]:
    """Return ``(n_queries,)`` quotients of each metric over the complete exact ranking, by name.

    Args:
        names: metrics of relevant items.
        similarities: of the protocol's queries and base.
        truth: the protocol's queries, base and relevance.
        memory_bytes: what counting may hold at once, beyond vectors and answers.
        device: what counts; the numbers are the same.
        on_progress: called now and then with the share that is done, from 0 to 1.

    Raises:
        UnknownNameError, SettingError: if a name is no metric's, or the device is not there.
    """
    parsed = [MetricName.parse(name) if isinstance(name, str) else name for name in names]
    blocks = [
        [name.quotients(positives) for name in parsed]
        for positives in complete_blocks(
            similarities,
            truth,
            memory_bytes=memory_bytes,
            device=device,
            on_progress=on_progress,
        )
    ]
    return {
        str(name): Quotients(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
        for name, columns in zip(parsed, zip(*blocks, strict=True), strict=True)
    }


def complete_ranks(
    similarities: Similarities,
    truth: GroundTruth,
    *,
    memory_bytes: int = MEMORY_BYTES,
    device: Device = "auto",
) -> PositiveRanks:
    """Return the ranks of every relevant item of every query: 8 bytes for each of them.

    Args: as for ``complete_quotients``.
    """
    blocks = list(complete_blocks(similarities, truth, memory_bytes=memory_bytes, device=device))
    return PositiveRanks.joined(blocks)


def complete_blocks(
    similarities: Similarities,
    truth: GroundTruth,
    *,
    memory_bytes: int = MEMORY_BYTES,
    device: Device = "auto",
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[PositiveRanks]:
    """Yield the ranks of consecutive queries' relevant items.

    Args: as for ``complete_quotients``.
    """
    way = _way(similarities, truth, device)
    for ranked in way(
        similarities,
        truth,
        ordered=is_graded(truth),
        memory_bytes=memory_bytes,
        on_progress=on_progress,
    ):
        for rows in pieces(ranked):
            yield positives_of(ranked, rows, truth)


def is_graded(truth: GroundTruth) -> bool:
    """Return whether it matters which of a query's relevant items is at which rank."""
    return truth.graded or (truth.judged is not None and truth.judged.gains is not None)


def _way(
    similarities: Similarities, truth: GroundTruth, device: Device
) -> Callable[..., Iterator[Ranked]]:
    """Return what counts on a device."""
    n_pairs = len(similarities.queries) * len(similarities.base)
    if device == "auto":
        device = "numpy" if n_pairs < _COMPILED_FROM else "cpu"
        if n_pairs >= _CUDA_FROM and _has_cuda():
            device = "cuda"
    if device == "cuda":
        if not _has_cuda():
            raise SettingError('There is no CUDA device here. Use "cpu", or "auto".')
        from cbir_bench.metrics.counting.on_device import ranked_on_device

        return ranked_on_device
    if device == "cpu":
        from cbir_bench.metrics.counting.tiles import ranked_in_tiles, takes_too_many

        if not takes_too_many(truth):
            return ranked_in_tiles
    from cbir_bench.metrics.counting.plain import ranked_plainly

    return ranked_plainly


def _has_cuda() -> bool:
    """Return whether torch finds a GPU; torch is loaded only where there is a driver for one."""
    if not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return bool(torch.cuda.is_available())


def pieces(ranked: Ranked) -> Iterator[slice]:
    """Yield consecutive queries of an answer, few enough for a metric's intermediate arrays."""
    n, start = len(ranked.starts) - 1, 0
    while start < n:
        limit = ranked.starts[start] + _PAIRS_AT_ONCE
        stop = max(start + 1, int(np.searchsorted(ranked.starts, limit, side="right")) - 1)
        stop = min(stop, start + _QUERIES_AT_ONCE, n)
        yield slice(start, stop)
        start = stop


def positives_of(ranked: Ranked, piece: slice, truth: GroundTruth) -> PositiveRanks:
    """Return the ranks of some queries of an answer, with gains where they differ."""
    first = ranked.rows.start
    rows = slice(first + piece.start, first + piece.stop)
    starts = ranked.starts[piece.start : piece.stop + 1]
    inside = slice(starts[0], starts[-1])
    gains = grades = None
    if ranked.items is not None:
        lists = truth.relevant_items(rows)
        grades = Grades.of(lists, truth.highest_gain)
        by_item = np.ones(len(lists.items)) if lists.gains is None else lists.gains
        # Sorting the answer by query and item puts it in the order of the lists.
        gains = np.empty(len(lists.items))
        gains[np.lexsort((ranked.items[inside], lists.queries))] = by_item
    return PositiveRanks(
        ranks=ranked.ranks[inside],
        starts=starts - starts[0],
        n_relevant=truth.n_relevant[rows],
        depth=None,
        gains=gains,
        grades=grades,
    )
