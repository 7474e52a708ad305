"""Similarities and rankings from their definition: one pair at a time, exact fractions."""

from __future__ import annotations

from fractions import Fraction


def similarity(query, item, space):
    """Return the inner product, or minus the squared distance, without any rounding."""
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(query, item, strict=True)]
    if space == "l2":
        return -sum((a - b) ** 2 for a, b in pairs)
    return sum(a * b for a, b in pairs)


def ranking(query, base, space, own=-1):
    """Return all ids but ``own``, most similar first, ties by id ascending."""
    ids = [i for i in range(len(base)) if i != own]
    return sorted(ids, key=lambda i: (-similarity(query, base[i], space), i))


def positive_ranks(query, base, space, relevant, own=-1):
    """Return the ranks, from 1, of the relevant ids."""
    order = ranking(query, base, space, own)
    return [rank for rank, i in enumerate(order, 1) if i in relevant]
