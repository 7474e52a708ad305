"""Poolings written from their papers, one image, one channel and one position at a time."""

from __future__ import annotations

import math

import numpy as np


def spoc(features):
    """Babenko and Lempitsky 2015: the sum over positions, divided by their number."""
    channels, rows, columns = features.shape
    return np.array(
        [
            sum(float(features[c, y, x]) for y in range(rows) for x in range(columns))
            / (rows * columns)
            for c in range(channels)
        ]
    )


def mac(features):
    """Razavian et al. 2016: the largest value of each channel."""
    return np.array([max(float(value) for value in channel.ravel()) for channel in features])


def gem(features, exponents):
    """Radenovic et al. 2019, equation 3, with an exponent for each channel."""
    return np.array(
        [
            (sum(max(float(v), 1e-6) ** p for v in channel.ravel()) / channel.size) ** (1 / p)
            for channel, p in zip(features, exponents, strict=True)
        ]
    )


def unit(vector):
    """Divide by the Euclidean length."""
    return vector / math.sqrt(sum(float(v) ** 2 for v in vector))


def regions(rows, columns, n_levels):
    """Tolias et al. 2016, section 3.2: ``(top, left, width)`` of all regions.

    The paper leaves open how widths and places are rounded; here both are rounded down.
    """
    shorter, longer = min(rows, columns), max(rows, columns)
    n_first = 1  # regions of the first scale along the longer side
    if longer > shorter:
        n_first = min(range(2, 50), key=lambda m: abs(_overlap(shorter, longer, m) - 0.4))
    found = []
    for scale in range(1, n_levels + 1):
        width = max(1, math.floor(2 * shorter / (scale + 1)))
        along_longer = scale + n_first - 1
        n_down = along_longer if rows > columns else scale
        n_across = along_longer if columns > rows else scale
        found.extend(
            (_place(i, n_down, rows, width), _place(j, n_across, columns, width), width)
            for i in range(n_down)
            for j in range(n_across)
        )
    return found


def _overlap(shorter, longer, n):
    """Return the share of a square that its neighbour covers where ``n`` of them span the longer side."""
    step = (longer - shorter) / (n - 1)
    return (shorter - step) / shorter


def _place(i, n, side, width):
    return 0 if n == 1 else math.floor(i * (side - width) / (n - 1))


def region_vectors(features, n_levels):
    """The maximum of each region, scaled to length 1."""
    _, rows, columns = features.shape
    return [
        unit(mac(features[:, y : y + width, x : x + width]))
        for y, x, width in regions(rows, columns, n_levels)
    ]


def rmac(features, n_levels, mean=None, projection=None):
    """Tolias et al. 2016: unit vectors of regions, whitened and scaled again where asked for, summed."""
    total = 0.0
    for vector in region_vectors(features, n_levels):
        whitened = mean is not None
        total = total + (unit(projection.astype(float) @ (vector - mean)) if whitened else vector)
    return total


def whitening(vectors, dim):
    """Jegou and Chum 2012: centre, rotate to the principal directions, divide by standard deviations."""
    vectors = np.asarray(vectors, float)
    mean = vectors.mean(axis=0)
    _, singular, directions = np.linalg.svd(vectors - mean, full_matrices=False)
    return mean, directions[:dim] / (singular[:dim, None] / math.sqrt(len(vectors)))
