"""The most similar of some candidates, one by one, in Python's own numbers."""

from __future__ import annotations


def most_similar(query, base, candidates, k, space):
    """Return the k best candidates; of equal ones those with the lower id first."""

    def distance(row):
        vector = base[row]
        if space == "l2":
            return sum((a - b) ** 2 for a, b in zip(query, vector, strict=True))
        return -sum(a * b for a, b in zip(query, vector, strict=True))

    return sorted(candidates, key=lambda row: (distance(row), row))[:k]
