"""Rankings and ground truths for tests, from a few letters."""

from __future__ import annotations

import numpy as np

from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.ranking import PositiveRanks


def positives(*rows, n_relevant=None, complete=False):
    """Return the ranks of the 1s in strings such as "10010"; one relevant item for each by default."""
    hits = np.zeros((len(rows), len(rows[0]) if rows else 0), bool)
    for place, row in enumerate(rows):
        hits[place] = [letter == "1" for letter in row]
    found = hits.sum(1) if n_relevant is None else n_relevant
    cut = PositiveRanks.from_hits(hits, np.asarray(found, np.int64))
    return cut.completed() if complete else cut


def full_base(labels):
    """Return the truth in which every item is a query against all others."""
    sets = LabelSets.of(labels)
    rows = np.arange(len(sets))
    return GroundTruth(
        query_rows=rows, base_rows=rows, query_labels=sets, base_labels=sets, self_ids=rows
    )


def query_set(query_labels, base_labels):
    """Return the truth of queries, the first rows, apart from the base."""
    sets = LabelSets.of([*query_labels, *base_labels])
    queries = np.arange(len(query_labels))
    base = np.arange(len(query_labels), len(sets))
    return GroundTruth(
        query_rows=queries,
        base_rows=base,
        query_labels=sets.take(queries),
        base_labels=sets.take(base),
        self_ids=np.full(len(queries), -1),
    )


def clustered(n, dim, n_classes, seed, noise=1.2):
    """Return float32 vectors around class centres, and their labels."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, n_classes, n)
    centres = random.standard_normal((n_classes, dim))
    vectors = centres[classes] + noise * random.standard_normal((n, dim))
    return vectors.astype(np.float32), [f"class {c:04d}" for c in classes]
