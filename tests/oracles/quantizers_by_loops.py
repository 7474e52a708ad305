"""Codecs written out value by value from their definitions, in Python's own numbers."""

from __future__ import annotations

import math
import struct


def level(value, low, high, n_levels):
    """Return which of evenly spaced levels from low to high is nearest, counted from 0."""
    step = (high - low) / (n_levels - 1)
    distances = [abs(low + i * step - value) for i in range(n_levels)]
    return distances.index(min(distances))


def value_of_level(number, low, high, n_levels):
    return low + number * (high - low) / (n_levels - 1)


def bits_side_by_side(numbers, n_bits):
    """Return bytes: one long binary number, the first number lowest, cut into bytes."""
    total = sum(number << (n_bits * i) for i, number in enumerate(numbers))
    return total.to_bytes(math.ceil(len(numbers) * n_bits / 8), "little")


def bfloat16(value):
    """Return the nearest number that keeps the upper half of float32's bits; of two, the even one."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    below = bits & 0xFFFF0000
    candidates = [below, below + 0x10000]
    values = [struct.unpack("<f", struct.pack("<I", c))[0] for c in candidates]
    gaps = [abs(v - value) for v in values]
    if gaps[0] == gaps[1]:
        return next(v for v, c in zip(values, candidates, strict=True) if not (c >> 16) & 1)
    return values[gaps.index(min(gaps))]


def nearest(part, centroids):
    """Return the squared distance of each centroid."""
    return [sum((a - b) ** 2 for a, b in zip(part, c, strict=True)) for c in centroids]


def rotated(vector, rotation):
    """Return ``vector @ rotation``."""
    return [
        sum(v * row[j] for v, row in zip(vector, rotation, strict=True))
        for j in range(len(rotation[0]))
    ]


def rabitq_estimate(vector, query, centre, rotation):
    """Return the inner product as equation 13 of Gao and Long estimates it, and the spread of its error.

    The spread is that of theorem 3.2 for epsilon_0 = 1, with the query's own length about the centre.
    """
    dim = len(vector)
    difference = [v - c for v, c in zip(vector, centre, strict=True)]
    length = math.sqrt(sum(d * d for d in difference))
    unit = [d / length for d in rotated(difference, rotation)]
    signs = [math.copysign(1, u) / math.sqrt(dim) for u in unit]
    asked = rotated(query, rotation)
    alignment = sum(s * u for s, u in zip(signs, unit, strict=True))
    product = sum(s * a for s, a in zip(signs, asked, strict=True))
    about_centre = sum(q * c for q, c in zip(query, centre, strict=True))
    norm = math.sqrt(sum(q * q for q in query))
    spread = length * norm * math.sqrt((1 - alignment**2) / alignment**2 / (dim - 1))
    return about_centre + length * product / alignment, spread
