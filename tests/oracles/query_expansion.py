"""Alpha-weighted query expansion, written out loop by loop from Radenovic et al. 2019."""

from __future__ import annotations

import math


def expanded_query(query, base, neighbours, alpha):
    """Return the expanded query as a list of floats; all vectors are sequences of length dim."""
    total = [float(x) for x in query]
    for row in neighbours:
        if row < 0:
            continue
        cosine = sum(float(a) * float(b) for a, b in zip(query, base[row], strict=True))
        weight = cosine**alpha if cosine > 0 else (1.0 if alpha == 0 else 0.0)
        for axis, value in enumerate(base[row]):
            total[axis] += weight * float(value)
    length = math.sqrt(sum(x * x for x in total))
    return [x / length for x in total]
