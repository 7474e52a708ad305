"""Every metric from its definition: one query, one loop, exact fractions.

A ranking is a list with one entry per rank, from the first: True or False for ``hits``, how relevant the item
is for ``gains`` (0 if it is not). ``all_gains`` are those of all relevant items, found or not.
"""

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


def average_precision(hits, divisor, k):
    """Manning et al. 2008: the precisions at the hits up to k, summed and divided."""
    total = Fraction(0)
    for rank in range(1, min(k, len(hits)) + 1):
        if hits[rank - 1]:
            total += Fraction(sum(hits[:rank]), rank)
    return total / divisor


def average_precision_at_r(hits, n_relevant):
    """Musgrave et al. 2020, equation 3."""
    return average_precision(hits, n_relevant, n_relevant)


def reciprocal_rank(hits, k):
    for rank in range(1, min(k, len(hits)) + 1):
        if hits[rank - 1]:
            return Fraction(1, rank)
    return Fraction(0)


def ndcg(gains, all_gains, k, gain=lambda g: g):
    """As a float: logarithms are no fractions. The gain is g, or 2^g - 1 (Burges et al. 2005)."""
    ideal = sorted(all_gains, reverse=True)
    found = math.fsum(
        gain(float(g)) / math.log2(rank + 1) for rank, g in enumerate(gains[:k], start=1)
    )
    best = math.fsum(
        gain(float(g)) / math.log2(rank + 1) for rank, g in enumerate(ideal[:k], start=1)
    )
    return found / best


def expected_reciprocal_rank(gains, highest, k):
    """Chapelle et al. 2009, algorithm 2; fractions where gains are whole numbers, else floats."""
    still_looking, total = Fraction(1), Fraction(0)
    for rank, g in enumerate(gains[:k], start=1):
        satisfied = (Fraction(2**g) - 1) / Fraction(2**highest)
        total += still_looking * satisfied / rank
        still_looking *= 1 - satisfied
    return total


def oxford_average_precision(hits, n_relevant, k):
    """The program of Philbin et al. 2007: walk down the list, add trapezoids under the curve."""
    area, old_recall, old_precision, n_hits = Fraction(0), Fraction(0), Fraction(1), 0
    for seen, hit in enumerate(hits[:k], start=1):
        n_hits += hit
        new_recall, new_precision = Fraction(n_hits, n_relevant), Fraction(n_hits, seen)
        area += (new_recall - old_recall) * (old_precision + new_precision) / 2
        old_recall, old_precision = new_recall, new_precision
    return area


def oxford_precision(hits, k):
    """Radenovic et al. 2018's program, for a ranking that shows everything."""
    last = max(rank for rank, hit in enumerate(hits, start=1) if hit)
    return precision(hits, min(last, k))


def inverse_negative_penalty(hits, n_relevant):
    """Ye et al. 2022, equation 3: 1 minus the share of wrong items down to the hardest right one."""
    hardest = max(rank for rank, hit in enumerate(hits, start=1) if hit)
    return 1 - Fraction(hardest - n_relevant, hardest)


def interpolated_precision(hits, n_relevant, recall_level):
    """Manning et al. 2008, equation 8.7: the best precision at that recall or any above it."""
    return max(
        (
            precision(hits, rank)
            for rank in range(1, len(hits) + 1)
            if recall(hits, n_relevant, rank) >= recall_level
        ),
        default=Fraction(0),
    )


def interpolated_average_precision(hits, n_relevant, n_levels):
    levels = [Fraction(i, n_levels - 1) for i in range(n_levels)]
    return sum(interpolated_precision(hits, n_relevant, level) for level in levels) / n_levels


def by_name(name, hits, n_relevant, *, gains=None, all_gains=None, highest=1):
    """Return the metric called ``name`` of a ranking that shows the whole base."""
    metric, _, cutoff = name.partition("@")
    k = int(cutoff) if cutoff else len(hits)
    gains = [int(hit) for hit in hits] if gains is None else gains
    all_gains = [1] * n_relevant if all_gains is None else all_gains
    return float(
        {
            "ap": lambda: average_precision(hits, n_relevant, k),
            "ap_min": lambda: average_precision(hits, min(k, n_relevant), k),
            "ap_11pt": lambda: interpolated_average_precision(hits, n_relevant, 11),
            "ap_101pt": lambda: interpolated_average_precision(hits, n_relevant, 101),
            "map_at_r": lambda: average_precision_at_r(hits, n_relevant),
            "precision": lambda: precision(hits, k),
            "recall": lambda: recall(hits, n_relevant, k),
            "knn_recall": lambda: recall(hits, n_relevant, k),
            "hit_rate": lambda: hit_rate(hits, k),
            "r_precision": lambda: r_precision(hits, n_relevant),
            "mrr": lambda: reciprocal_rank(hits, k),
            "minp": lambda: inverse_negative_penalty(hits, n_relevant),
            "ndcg": lambda: ndcg(gains, all_gains, k),
            "ndcg_exp": lambda: ndcg(gains, all_gains, k, gain=lambda g: 2**g - 1),
            "err": lambda: expected_reciprocal_rank(gains, highest, k),
            "oxford_ap": lambda: oxford_average_precision(hits, n_relevant, k),
            "oxford_precision": lambda: oxford_precision(hits, k),
        }[metric]()
    )
