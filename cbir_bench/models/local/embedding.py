"""A vocabulary at work: from images to vectors, in the readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.models.local.encoding import residual_sums, unit_vector, word_counts
from cbir_bench.models.local.words import Projection, assign, projected, unit_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.models.local.features import LocalFeatures

Encoding = Literal["bow", "vlad"]
_AGAIN: Final = "Delete its folder and run the same command again; it is then learnt again."


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Vocabulary:
    """What was learnt from training images.

    Attributes:
        centroids: ``(n_words, dim)``.
        idf: ``(n_words,)`` weights of the words; None if all count the same.
        projection: of the descriptors; None if they are used as they are.
    """

    centroids: Matrix
    idf: NDArray[np.float32] | None
    projection: Projection | None

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Return what a safetensors file holds.

        Raises:
            DataError: if it is damaged, or no vocabulary.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            centroids = arrays["centroids"]
            has_projection = "directions" in arrays
            projection = (
                Projection(mean=arrays["mean"], directions=arrays["directions"])
                if has_projection
                else None
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(
                f"The file {path} holds no vocabulary of visual words. {_AGAIN}"
            ) from error
        return cls(centroids=centroids, idf=arrays.get("idf"), projection=projection)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WordsEmbedder:
    """Images in, vectors out. All is done in ``prepare``, so that every reader takes part.

    It keeps arrays and numbers only: threads may share it, other processes get a copy.

    Attributes:
        features: from an image to its descriptors.
        vocabulary: learnt from training images.
        root: whether descriptors are RootSIFT.
        n_nearest, softness: see ``words.assign``.
        encoding: "bow" or "vlad".
        power, normalise_words: see ``encoding.unit_vector``.
    """

    features: LocalFeatures
    vocabulary: Vocabulary
    root: bool
    n_nearest: int
    softness: float
    encoding: Encoding
    power: float
    normalise_words: bool

    @property
    def dim(self) -> int:
        """Length of the vectors: a number for each word, or a descriptor for each."""
        centroids = self.vocabulary.centroids
        return int(centroids.size if self.encoding == "vlad" else len(centroids))

    def prepare(self, images: Sequence[Image]) -> Matrix:
        """Return the vectors of a batch: all that there is to do."""
        return np.stack([self._vector(image) for image in images])

    def embed(self, batches: Iterable[Matrix]) -> Iterable[Matrix]:
        """Return the vectors as they are."""
        return batches

    def _vector(self, image: Image) -> NDArray[np.float32]:
        words = self.vocabulary
        plain = unit_descriptors(self.features(image), root=self.root)
        vectors = projected(plain, words.projection)
        assigned = assign(vectors, words.centroids, self.n_nearest, self.softness)
        parts: NDArray[Any]
        if self.encoding == "vlad":
            parts = residual_sums(assigned, vectors, words.centroids)
        else:
            parts = word_counts(assigned, len(words.centroids))
        return unit_vector(
            parts, power=self.power, normalise_words=self.normalise_words, idf=words.idf
        )
