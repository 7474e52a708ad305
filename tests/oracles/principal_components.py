"""Principal components, written out loop by loop: the covariance matrix, and Jacobi's rotations.

Jacobi, "Ueber ein leichtes Verfahren", 1846: turn pairs of axes until nothing is left beside the diagonal.
"""

from __future__ import annotations

import math


def mean_of(vectors):
    """Return the mean of vectors as a list of floats."""
    n = len(vectors)
    return [sum(float(row[axis]) for row in vectors) / n for axis in range(len(vectors[0]))]


def covariance_of(vectors):
    """Return the covariance matrix of vectors, divided by n - 1, as a list of lists."""
    mean, dim = mean_of(vectors), len(vectors[0])
    matrix = [[0.0] * dim for _ in range(dim)]
    for row in vectors:
        apart = [float(row[axis]) - mean[axis] for axis in range(dim)]
        for i in range(dim):
            for j in range(dim):
                matrix[i][j] += apart[i] * apart[j] / (len(vectors) - 1)
    return matrix


def principal_components(vectors):
    """Return ``(variance, direction)`` pairs, largest variance first; signs are arbitrary."""
    matrix = covariance_of(vectors)
    dim = len(matrix)
    axes = [[float(i == j) for j in range(dim)] for i in range(dim)]
    for _ in range(60):
        for p in range(dim):
            for q in range(p + 1, dim):
                _turn(matrix, axes, p, q)
    pairs = [(matrix[i][i], [axes[j][i] for j in range(dim)]) for i in range(dim)]
    return sorted(pairs, key=lambda pair: -pair[0])


def _turn(matrix, axes, p, q):
    if matrix[p][q] == 0:
        return
    angle = 0.5 * math.atan2(2 * matrix[p][q], matrix[q][q] - matrix[p][p])
    cos, sin = math.cos(angle), math.sin(angle)
    for k in range(len(matrix)):
        a, b = matrix[k][p], matrix[k][q]
        matrix[k][p], matrix[k][q] = cos * a - sin * b, sin * a + cos * b
    for k in range(len(matrix)):
        a, b = matrix[p][k], matrix[q][k]
        matrix[p][k], matrix[q][k] = cos * a - sin * b, sin * a + cos * b
    for row in axes:
        a, b = row[p], row[q]
        row[p], row[q] = cos * a - sin * b, sin * a + cos * b
