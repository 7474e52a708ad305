"""Rankings with junk, as two benchmarks are scored: one query, one loop.

Written from the papers and from what the programs are known to do: Revisited Oxford and Paris (Radenovic et
al. 2018), and Market-1501 (Zheng et al. 2015) as fast-reid scores it, with the
mINP of Ye et al. 2022; the AP of Market-1501's own program is the trapezoid, as Oxford's.
"""

from __future__ import annotations


def revisited(ranked, relevant, junk, k):
    """Return (AP by the trapezoid rule, precision at k) of the ids of a complete ranking."""
    positions, n_junk = [], 0
    for place, item in enumerate(ranked):
        if item in junk:
            n_junk += 1
        elif item in relevant:
            positions.append(place - n_junk)
    ap = 0.0
    for n_before, position in enumerate(positions):
        before = 1.0 if position == 0 else n_before / position
        after = (n_before + 1) / (position + 1)
        ap += (before + after) / (2 * len(relevant))
    at = min(positions[-1] + 1, k)
    return ap, sum(position < at for position in positions) / at


def market(ranked, *, identities, cameras, identity, camera, k):
    """Return (CMC up to k, AP, INP) of a gallery's ids; None where no other camera saw the person."""
    kept = [i for i in ranked if not (identities[i] == identity and cameras[i] == camera)]
    matches = [identities[i] == identity for i in kept]
    if not any(matches):
        return None
    cmc = [float(any(matches[: rank + 1])) for rank in range(k)]
    n_matches = sum(matches)
    precisions = [
        sum(matches[: rank + 1]) / (rank + 1) for rank, match in enumerate(matches) if match
    ]
    hardest = max(rank for rank, match in enumerate(matches) if match)
    return cmc, sum(precisions) / n_matches, n_matches / (hardest + 1)
