"""The ways of counting complete rankings, by name; a GPU is one of them where there is one."""

from __future__ import annotations

from functools import partial

import torch

from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.metrics import complete
from cbir_bench.metrics.counting.on_device import ranked_on_device
from cbir_bench.metrics.counting.plain import ranked_plainly
from cbir_bench.metrics.counting.tiles import ranked_in_tiles

WAYS = {
    "numpy": ranked_plainly,
    "one thread": partial(ranked_in_tiles, n_threads=1),
    "three threads": partial(ranked_in_tiles, n_threads=3),
    "torch": partial(ranked_on_device, device="cpu"),
}
if torch.cuda.is_available():
    WAYS["cuda"] = partial(ranked_on_device, device="cuda")


def ranks_by(way, similarities, truth, memory_bytes=complete.MEMORY_BYTES):
    """Return the ranks that one of ``WAYS`` finds."""
    ordered = complete.is_graded(truth)
    parts = WAYS[way](similarities, truth, ordered=ordered, memory_bytes=memory_bytes)
    return PositiveRanks.joined(
        [
            complete.positives_of(ranked, rows, truth)
            for ranked in parts
            for rows in complete.pieces(ranked)
        ]
    )
