"""Learning a vocabulary of visual words from training images, in bounded memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import faiss
import numpy as np

from cbir_bench.core.ahead import ahead
from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import SettingError
from cbir_bench.models.local.features import LENGTH
from cbir_bench.models.local.words import Projection, nearest, projected, unit_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.models.local.features import Descriptors, LocalFeatures

R = TypeVar("R")

_BATCH: Final = 16
_SMALLEST_SHARE: Final = 1e-7
"""Directions with less than this share of the largest variance are noise of the arithmetic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """What decides a vocabulary, beyond the images.

    Attributes:
        features: from an image to its descriptors.
        root: whether descriptors are RootSIFT.
        n_words: centroids.
        pca_dim: principal components of the descriptors to keep; 0 keeps the descriptors.
        weighting: of words, see ``rarity``; "none" looks at no image for it.
        n_samples: descriptors that k-means sees at most.
        n_iterations: of k-means.
        seed: of the sample and of k-means.
    """

    features: LocalFeatures
    root: bool
    n_words: int
    pca_dim: int
    weighting: Literal["idf", "smooth_idf", "none"]
    n_samples: int
    n_iterations: int
    seed: int

    def learn(
        self, training: TrainingData, progress: Callable[[int, int], None]
    ) -> dict[str, NDArray[np.float32]]:
        """Return the ``centroids``, and the ``idf``, ``mean`` and ``directions`` where wanted.

        Args:
            training: only rows of ``Split.TRAIN`` are read; twice, if words are weighted.
            progress: told ``(n_done, n_total)`` images; one that is read twice counts half each time.

        Raises:
            SettingError: if there are too few training images for the options.
        """
        images = _Images(
            training, training.rows(Split.TRAIN), progress, n_passes=1 + (self.weighting != "none")
        )
        sample = Sample(self.n_samples, self.seed)
        for row, descriptors in images.each(self.features):
            sample.add(row, descriptors)
        sampled = self._enough(sample.descriptors(), training.name)
        projection = principal_components(sampled, self.pca_dim) if self.pca_dim else None
        centroids = k_means(
            projected(sampled, projection), self.n_words, self.n_iterations, self.seed
        )
        learned: dict[str, NDArray[np.float32]] = {"centroids": centroids}
        if projection is not None:
            learned |= {"mean": projection.mean, "directions": projection.directions}
        if self.weighting != "none":
            learned["idf"] = self._idf(images, centroids, projection)
        return learned

    def _idf(
        self, images: _Images, centroids: Matrix, projection: Projection | None
    ) -> NDArray[np.float32]:
        """Return the weight of each word, from the words of each image."""

        def words(image: Image) -> NDArray[np.int64]:
            plain = unit_descriptors(self.features(image), root=self.root)
            return np.unique(nearest(projected(plain, projection), centroids, 1))

        n_with = np.zeros(len(centroids), np.int64)
        for _, present in images.each(words):
            n_with[present] += 1
        return rarity(n_with, len(images), smooth=self.weighting == "smooth_idf")

    def _enough(self, descriptors: Descriptors, name: str) -> Matrix:
        if len(descriptors) < self.n_words:
            raise SettingError(
                f"The training images of {name} have {len(descriptors):,} descriptors in the sample, fewer "
                f"than n_words = {self.n_words}. Lower n_words, raise n_samples, or give more images."
            )
        return unit_descriptors(descriptors, root=self.root)


class _Images:
    """Training images, read and looked at by several threads, as often as is needed.

    Args:
        training: what they are part of.
        rows: which.
        progress: told ``(n_done, n_total)`` images; one that is read several times counts a share each time.
        n_passes: how often each is read in all.
    """

    def __init__(
        self,
        training: TrainingData,
        rows: NDArray[np.int64],
        progress: Callable[[int, int], None],
        n_passes: int,
    ) -> None:
        self._images, self._rows = training.images, rows
        self._progress, self._n_passes = progress, n_passes
        self._n_done = 0

    def __len__(self) -> int:
        return len(self._rows)

    def each(self, look: Callable[[Image], R]) -> Iterator[tuple[int, R]]:
        """Yield the row of each image and what was seen in it, in order.

        Args:
            look: called from several threads at once.
        """
        n = len(self)
        parts = [self._rows[start : start + _BATCH].tolist() for start in range(0, n, _BATCH)]

        def looked(part: list[int]) -> list[R]:
            return [look(self._images.read([row])[0]) for row in part]

        n_threads = len(os.sched_getaffinity(0))
        for part, seen in zip(parts, ahead(looked, parts, n_threads=n_threads), strict=True):
            yield from zip(part, seen, strict=True)
            self._n_done += len(part)
            self._progress(self._n_done // self._n_passes, n)


class Sample:
    """A uniform sample of descriptors without replacement, which does not depend on their order.

    Every descriptor draws a number, by its image's row and its place there; those with the smallest
    numbers are kept (bottom-k sampling; Cohen and Kaplan, 2007).

    Args:
        size: how many to keep.
        seed: another seed, another sample.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._numbers = np.empty(0)
        self._kept = np.empty((0, LENGTH), np.uint8)
        self._new: list[tuple[NDArray[np.float64], Descriptors]] = []
        self._n_new = 0

    def add(self, row: int, descriptors: Descriptors) -> None:
        """Take the descriptors of another image into account."""
        numbers = np.random.default_rng([self._seed, row]).random(len(descriptors))
        self._new.append((numbers, descriptors))
        self._n_new += len(descriptors)
        if self._n_new > self._size:
            self._merge()

    def descriptors(self) -> Descriptors:
        """Return the sample, by the numbers drawn."""
        self._merge()
        return self._kept

    def _merge(self) -> None:
        numbers = np.concatenate([self._numbers, *(numbers for numbers, _ in self._new)])
        descriptors = np.concatenate([self._kept, *(found for _, found in self._new)])
        smallest = np.argsort(numbers)[: self._size]
        self._numbers, self._kept = numbers[smallest], descriptors[smallest]
        self._new, self._n_new = [], 0


def k_means(vectors: Matrix, n_words: int, n_iterations: int, seed: int) -> Matrix:
    """Return ``(n_words, dim)`` centroids: Lloyd's iterations from random vectors, by faiss.

    By one thread: on some processors several add up products in another order, and the centroids differ.
    """
    found = faiss.Kmeans(
        vectors.shape[1],
        n_words,
        niter=n_iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),  # faiss samples no further
    )
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        found.train(vectors)
    finally:
        faiss.omp_set_num_threads(n_threads)
    return np.asarray(found.centroids, np.float32)


def rarity(n_with: NDArray[np.int64], n_images: int, *, smooth: bool) -> NDArray[np.float32]:
    """Return the inverse document frequency of each word.

    ``log(N / n)`` (Sivic and Zisserman, ICCV 2003): 0 for a word that every image has, and as if one image
    had it for one that none has. Smooth: ``1 + log((1 + N) / (1 + n))``, as scikit-learn computes it.

    Args:
        n_with: ``(n_words,)`` images that have each word.
        n_images: all of them.
        smooth: whether no word may lose all its weight.
    """
    if smooth:
        return (1 + np.log((1 + n_images) / (1 + n_with))).astype(np.float32)
    return np.log(n_images / np.maximum(n_with, 1)).astype(np.float32)


def principal_components(vectors: Matrix, dim: int) -> Projection:
    """Return the directions of largest variance.

    Raises:
        SettingError: if the vectors vary in fewer directions.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    products = np.einsum("ij,ik->jk", vectors, vectors, dtype=np.float64) / len(vectors)
    variances, directions = np.linalg.eigh(products - np.outer(mean, mean))
    variances, directions = variances[::-1], directions[:, ::-1]
    n_varying = int((variances > _SMALLEST_SHARE * variances[0]).sum())
    if n_varying < dim:
        raise SettingError(
            f"The descriptors of the training images vary in {n_varying} directions, fewer than pca_dim = "
            f"{dim}. Set pca_dim to {n_varying} or less, or give more training images."
        )
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, range(len(directions))])  # else left to the LAPACK at hand
    return Projection(
        mean=mean.astype(np.float32),
        directions=np.ascontiguousarray((directions * signs)[:, :dim], np.float32),
    )
