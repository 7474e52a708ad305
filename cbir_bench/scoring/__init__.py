"""Scores without a suite: embeddings, rankings, hits or TREC files in, every retrieval metric out.

>>> from cbir_bench.scoring import score_hits
>>> scored = score_hits([[1, 0, 1, 0, 0, 1]], n_relevant=4, metrics="ap@6,recall@6")
>>> round(scored.values["ap@6"].mean, 3), scored.per_query["recall@6"]
(0.542, array([0.75]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cbir_bench.scoring.api import compare, score_embeddings, score_hits, score_rankings
    from cbir_bench.scoring.compared import Differences
    from cbir_bench.scoring.scored import Scored

__all__ = [
    "Differences",
    "Scored",
    "compare",
    "score_embeddings",
    "score_hits",
    "score_rankings",
]

_HOME: Final = {
    "Differences": "cbir_bench.scoring.compared",
    "Scored": "cbir_bench.scoring.scored",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first asked for, so that the command line stays fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME.get(name, "cbir_bench.scoring.api")), name)
