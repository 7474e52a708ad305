"""PCA-whitening of R-MAC's regions, learnt from training images.

Jegou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and
whitening", ECCV 2012; applied to regions by Tolias, Sicre and Jegou, ICLR 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from cbir_bench.core.ahead import ahead
from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import SettingError
from cbir_bench.core.lazy_images import LazyImages
from cbir_bench.models.networks.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.models.networks.embedding import EmbeddingNetwork

_BATCH: Final = 64
_SMALLEST_SHARE: Final = 1e-7
"""Directions with less than this share of the largest variance are noise of the arithmetic."""


def learn_whitening(
    network: EmbeddingNetwork,
    training: TrainingData,
    dim: int,
    progress: Callable[[int, int], None],
) -> dict[str, NDArray[np.float32]]:
    """Return the ``mean`` and the ``projection`` that whiten the regions of the training images.

    Sums are kept in place of the regions, so that memory does not grow with their number.

    Args:
        network: with its weights in place; R-MAC is its pooling.
        training: only rows of ``Split.TRAIN`` are read.
        dim: directions to keep.
        progress: told ``(n_done, n_total)`` images.

    Raises:
        SettingError: if the regions do not vary in so many directions.
    """
    network.to(network.device).eval()
    rows = training.rows(Split.TRAIN)
    if not len(rows):
        raise SettingError(
            f"region_pca = {dim} is learnt from a training split, which {training.name} does not have. Set "
            "it to 0, or choose another data set."
        )
    sums = _Sums()
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]

    def prepared(part: NDArray[np.int64]) -> NDArray[np.uint8]:
        return network.prepare(LazyImages(training.images, part.tolist()))

    n_done = 0
    for part, pixels in zip(parts, ahead(prepared, parts, n_threads=2), strict=True):
        with torch.inference_mode():
            regions = network.regions(torch.from_numpy(pixels).to(network.device))
        sums.add(regions.flatten(0, 1).cpu().numpy().astype(np.float64))
        n_done += len(part)
        progress(n_done, len(rows))
    return _whitening(sums, dim)


class _Sums:
    """The number of vectors, their sum, and the sum of their outer products."""

    def __init__(self) -> None:
        self.n = 0
        self.vectors: Any = 0.0
        self.products: Any = 0.0

    def add(self, vectors: NDArray[np.float64]) -> None:
        self.n += len(vectors)
        self.vectors = self.vectors + vectors.sum(axis=0)
        self.products = self.products + vectors.T @ vectors


def _whitening(sums: _Sums, dim: int) -> dict[str, NDArray[np.float32]]:
    mean = sums.vectors / sums.n
    variances, directions = np.linalg.eigh(sums.products / sums.n - np.outer(mean, mean))
    variances, directions = variances[::-1], directions[:, ::-1]
    n_varying = int((variances > _SMALLEST_SHARE * variances[0]).sum())
    if n_varying < dim:
        raise SettingError(
            f"The regions of the training images vary in {n_varying} directions, fewer than region_pca = "
            f"{dim}. Set region_pca to {n_varying} or less, or give more training images."
        )
    projection = (directions[:, :dim] / np.sqrt(variances[:dim])).T
    largest = np.abs(projection).argmax(axis=1)
    signs = np.sign(projection[range(dim), largest])[:, None]  # else left to the LAPACK at hand
    return {
        "mean": mean.astype(np.float32),
        "projection": np.ascontiguousarray(projection * signs, np.float32),
    }


def put_whitening(network: EmbeddingNetwork, path: Path) -> None:
    """Let a network whiten its regions as ``learn_whitening`` found.

    Raises:
        DataError: if the file is damaged.
    """
    learned = read_weights(path)
    network.whiten_regions(learned["mean"], learned["projection"])
