"""From visual words to one vector: bag of words, or vector of locally aggregated descriptors (VLAD).

Bag of words: Sivic and Zisserman, "Video Google", ICCV 2003. VLAD: Jegou, Douze, Schmid and Perez, CVPR
2010. Power normalisation: Jegou, Douze and Schmid, "On the burstiness of visual elements", CVPR 2009, and
Jegou et al., TPAMI 2012. Normalisation of each word's part: Arandjelovic and Zisserman, "All about VLAD",
CVPR 2013.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.models.local.words import Assigned


def word_counts(assigned: Assigned, n_words: int) -> NDArray[np.float64]:
    """Return ``(n_words, 1)`` sums of the descriptors' weights: how often each word is there."""
    words, weights = assigned.words.ravel(), assigned.weights.ravel()
    counts = np.zeros(n_words, np.float64)
    counts += np.bincount(words, weights=weights, minlength=n_words)
    return counts[:, None]


def residual_sums(assigned: Assigned, vectors: Matrix, centroids: Matrix) -> NDArray[np.float64]:
    """Return ``(n_words, dim)`` weighted sums of what separates descriptors from their word's centroid."""
    sums = np.zeros(centroids.shape, np.float64)
    if len(vectors):
        words, weights = assigned.words.ravel(), assigned.weights.ravel()
        by_word = np.argsort(words, kind="stable")
        owners = by_word // assigned.words.shape[1]
        apart = vectors[owners].astype(np.float64) - centroids[words[by_word]]
        present, starts = np.unique(words[by_word], return_index=True)
        sums[present] = np.add.reduceat(apart * weights[by_word, None], starts, axis=0)
    return sums


def unit_vector(
    parts: NDArray[np.float64],
    *,
    power: float,
    normalise_words: bool,
    idf: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Return the vector of length 1 that the parts of all words make.

    Each number is raised to a power, its sign kept; each word's part is scaled to length 1 if wanted, and
    multiplied by the word's weight; all parts, one after the other, are scaled to length 1. Where nothing is
    left (an image without features, or with such words only as every training image has), the
    vector is that of equal negative numbers: the same for all such images, and for bags of words
    less similar to any other image than those are among themselves.

    Args:
        parts: ``(n_words, width)``.
        power: 1 leaves the numbers as they are.
        normalise_words: whether each word counts the same, however often it is there.
        idf: ``(n_words,)`` weights, or None.
    """
    raised = np.sign(parts) * np.abs(parts) ** power
    if normalise_words:
        lengths = np.linalg.norm(raised, axis=1, keepdims=True)
        raised = np.divide(raised, lengths, out=np.zeros_like(raised), where=lengths > 0)
    if idf is not None:
        raised = raised * idf[:, None]
    length = np.linalg.norm(raised)
    if length == 0:
        return np.full(raised.size, -(raised.size**-0.5), np.float32)
    return (raised.ravel() / length).astype(np.float32)
