"""Averages, bootstrap, randomisation test and Holm's correction, written out loop by loop."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction


def macro(numerators, denominators):
    scores = [Fraction(n) / Fraction(d) for n, d in zip(numerators, denominators, strict=True) if d]
    return float(sum(scores) / len(scores))


def micro(numerators, denominators):
    return float(sum(map(Fraction, numerators)) / sum(map(Fraction, denominators)))


def weighted(numerators, denominators, weights):
    total = sum(
        Fraction(w) * Fraction(n) / Fraction(d)
        for n, d, w in zip(numerators, denominators, weights, strict=True)
        if d
    )
    return float(total / sum(Fraction(w) for d, w in zip(denominators, weights, strict=True) if d))


def by_class(numerators, denominators, classes):
    means = []
    for one in sorted(set(classes)):
        scores = [
            Fraction(n) / Fraction(d)
            for n, d, c in zip(numerators, denominators, classes, strict=True)
            if d and c == one
        ]
        if scores:
            means.append(sum(scores) / len(scores))
    return float(sum(means) / len(means))


def randomisation_p_value(differences):
    """Every assignment of signs, one after the other."""
    observed = abs(sum(map(Fraction, differences)))
    n_extreme = sum(
        abs(sum(sign * Fraction(d) for sign, d in zip(signs, differences, strict=True))) >= observed
        for signs in itertools.product((1, -1), repeat=len(differences))
    )
    return n_extreme / 2 ** len(differences)


def jackknife_acceleration(numerators, denominators):
    """Efron 1987, section 6: leave out one unit after the other."""
    n = len(numerators)
    without = [
        sum(numerators[j] for j in range(n) if j != i)
        / sum(denominators[j] for j in range(n) if j != i)
        for i in range(n)
    ]
    mean = math.fsum(without) / n
    squares = math.fsum((mean - x) ** 2 for x in without)
    return math.fsum((mean - x) ** 3 for x in without) / (6 * squares**1.5)


def holm(p_values):
    """Holm 1979: the smallest of m is held against alpha / m, the next against alpha / (m - 1), ..."""
    adjusted = {}
    highest = 0.0
    for step, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[i]))
        adjusted[i] = highest
    return [adjusted[i] for i in range(len(p_values))]
