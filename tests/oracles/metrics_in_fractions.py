"""Every metric from its definition: one query, one loop, exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction


def precision(hits, k):
    return Fraction(sum(hits[:k]), k)


def recall(hits, n_relevant, k):
    return Fraction(sum(hits[:k]), n_relevant)


def hit_rate(hits, k):
    return Fraction(int(any(hits[:k])))


def r_precision(hits, n_relevant):
    return Fraction(sum(hits[:n_relevant]), n_relevant)


def average_precision(hits, n_relevant, k):
    total = Fraction(0)
    for rank in range(1, min(k, len(hits)) + 1):
        if hits[rank - 1]:
            total += Fraction(sum(hits[:rank]), rank)
    return total / n_relevant


def average_precision_at_r(hits, n_relevant):
    return average_precision(hits, n_relevant, n_relevant)


def reciprocal_rank(hits, k):
    for rank in range(1, min(k, len(hits)) + 1):
        if hits[rank - 1]:
            return Fraction(1, rank)
    return Fraction(0)


def ndcg(hits, n_relevant, k):
    """As a float: logarithms are no fractions."""
    gain = math.fsum(1 / math.log2(i + 1) for i in range(1, min(k, len(hits)) + 1) if hits[i - 1])
    ideal = math.fsum(1 / math.log2(i + 1) for i in range(1, min(k, n_relevant) + 1))
    return gain / ideal


def by_name(name, hits, n_relevant):
    """Return the metric called ``name`` of a ranking that shows the whole base."""
    metric, _, cutoff = name.partition("@")
    k = int(cutoff) if cutoff else len(hits)
    return float(
        {
            "ap": lambda: average_precision(hits, n_relevant, k),
            "map_at_r": lambda: average_precision_at_r(hits, n_relevant),
            "precision": lambda: precision(hits, k),
            "recall": lambda: recall(hits, n_relevant, k),
            "knn_recall": lambda: recall(hits, n_relevant, k),
            "hit_rate": lambda: hit_rate(hits, k),
            "r_precision": lambda: r_precision(hits, n_relevant),
            "mrr": lambda: reciprocal_rank(hits, k),
            "ndcg": lambda: ndcg(hits, n_relevant, k),
        }[metric]()
    )
