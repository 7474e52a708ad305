"""SIFT with a vocabulary of visual words, learnt from training images: bag of words, or VLAD.

Sivic and Zisserman, "Video Google", ICCV 2003; Jegou, Douze, Schmid and Perez, CVPR 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Gt, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned
    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.models.local.features import LocalFeatures

_N_WORDS: Final = {"bow": 1024, "vlad": 64}
_DESCRIPTOR: Final = 128
_MAX_DIM: Final = 65536
_MAX_PATCHES: Final = 8
_OF_GRIDS: Final = ("step", "patches")


@MODELS.register("sift")
@dataclass(frozen=True, kw_only=True)
class SiftModel:
    """Local descriptors in grey, summed up by the visual words they are nearest to; vectors of length 1.

    The vocabulary is learnt from the training split by k-means. An image without any feature has the vector
    of equal negative numbers, and so is like no other image but such ones.

    Attributes:
        encoding: "bow" counts each word (bag of words; the vector has n_words numbers); "vlad" adds up what
            separates descriptors from their word (n_words times 128 numbers, or times pca_dim).
        n_words: visual words; 0 is 1024 for "bow" and 64 for "vlad".
        weighting: of words, by how rare they are among training images: "idf" is log(N / n), 0 for a word
            that all of them have; "smooth_idf" is 1 + log((1 + N) / (1 + n)); "none" weighs all the same;
            "auto" is "smooth_idf" for "bow" and "none" for "vlad".
        n_nearest: words that each descriptor counts for; 1 is its nearest one only.
        softness: how fast a word counts for less the farther it is: the sigma of a Gaussian in units of a
            descriptor's length; of more than one nearest word.
        power: exponent of counts or sums, which keeps repeated elements from dominating; 1 is none.
        normalise_words: scale each word's part to length 1: for "vlad" intra-normalisation; for "bow" a
            word then is there or not.
        detector: "dog" finds keypoints (extrema of the difference of Gaussians), with their own size and
            direction; "dense" takes upright patches from a grid.
        step: pixels between the patches of "dense"; more where there would be more than max_features.
        patches: sides of the patches of "dense" in pixels, such as "16, 24, 32".
        max_features: descriptors of an image at most; of keypoints the strongest.
        min_size: images whose longer side is shorter are enlarged to it, in pixels.
        max_size: images whose longer side is longer are shrunk to it, in pixels.
        root: RootSIFT: compare descriptors by the Hellinger kernel rather than by their lengths.
        pca_dim: principal components of descriptors to keep; 0 keeps all as they are.
        n_samples: descriptors that the vocabulary is learnt from, at most.
        n_iterations: of k-means.
        seed: of the sample and of k-means.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("cv2", "faiss", "safetensors")
    TRAINABLE: ClassVar[bool] = False

    encoding: Literal["bow", "vlad"] = "bow"
    n_words: Annotated[int, Ge(0), Le(_MAX_DIM)] = 0
    weighting: Literal["auto", "idf", "smooth_idf", "none"] = "auto"
    n_nearest: Annotated[int, Ge(1), Le(16)] = 3
    softness: Annotated[float, Gt(0), Le(10)] = 0.2
    power: Annotated[float, Gt(0), Le(1)] = 0.5
    normalise_words: bool = False
    detector: Literal["dog", "dense"] = "dog"
    step: Annotated[int, Ge(1), Le(1024)] = 8
    patches: str = "32"
    max_features: Annotated[int, Ge(_MAX_PATCHES), Le(20_000)] = 2000
    min_size: Annotated[int, Ge(1), Le(4096)] = 128
    max_size: Annotated[int, Ge(16), Le(4096)] = 1024
    root: bool = True
    pca_dim: Annotated[int, Ge(0), Le(_DESCRIPTOR)] = 0
    n_samples: Annotated[int, Ge(1), Le(100_000_000)] = 100_000
    n_iterations: Annotated[int, Ge(1), Le(1000)] = 20
    seed: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        _ = self.patch_sides
        if self.min_size > self.max_size:
            raise SettingError(
                f"min_size = {self.min_size} is above max_size = {self.max_size}. Let images be between them."
            )
        self._check_words()
        self._check_unused()

    @property
    def patch_sides(self) -> tuple[float, ...]:
        """The numbers that ``patches`` names.

        Raises:
            SettingError: if one is no number between 4 and 1024, or there twice, or they are too many.
        """
        try:
            sides = tuple(float(side) for side in self.patches.split(","))
        except ValueError:
            sides = ()
        fine = all(4 <= side <= 1024 for side in sides) and len(set(sides)) == len(sides)
        if not (fine and 1 <= len(sides) <= _MAX_PATCHES):
            raise SettingError(
                f"patches = {self.patches!r} names no patches. Give up to {_MAX_PATCHES} different sides "
                'from 4 to 1024 pixels, such as "16, 24, 32".'
            )
        return sides

    @property
    def n_centroids(self) -> int:
        """Visual words, decided."""
        return self.n_words or _N_WORDS[self.encoding]

    @property
    def word_weighting(self) -> Literal["idf", "smooth_idf", "none"]:
        """How words are weighted, decided."""
        if self.weighting == "auto":
            return "smooth_idf" if self.encoding == "bow" else "none"
        return self.weighting

    @property
    def needs_fit(self) -> bool:
        """It always learns its vocabulary."""
        return True

    def weights_hash(self, context: DataContext) -> str:  # noqa: ARG002
        """Return "none": there are no weights but those that are learnt here."""
        return "none"

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Refuse: a vocabulary is fitted, not trained."""
        raise SettingError(
            "SIFT has nothing to train by gradients; it learns its vocabulary without them. Drop its "
            "[model.training] table."
        )

    def fit(
        self,
        context: DataContext,  # noqa: ARG002
        trained: Path | None,  # noqa: ARG002
        training: TrainingData,
        progress: Callable[[int, int], None],
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return the vocabulary: a sample of all descriptors, k-means, and how many images have each word.

        Raises:
            SettingError: if the training images are too few for the options.
            DataError: if an image cannot be read.
        """
        from cbir_bench.models.local.learning import Learner

        learner = Learner(
            features=self._features(),
            root=self.root,
            n_words=self.n_centroids,
            pca_dim=self.pca_dim,
            weighting=self.word_weighting,
            n_samples=self.n_samples,
            n_iterations=self.n_iterations,
            seed=self.seed,
        )
        return learner.learn(training, progress)

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:  # noqa: ARG002
        """Return the vocabulary at work.

        Raises:
            SettingError: if there is none yet.
            DataError: if its file is damaged.
        """
        from cbir_bench.models.local.embedding import Vocabulary, WordsEmbedder

        if learned.fitted is None:
            raise SettingError(
                "SIFT has no vocabulary yet, which it learns from a training split. Choose a data set that "
                "has one, and run it as part of a suite."
            )
        return WordsEmbedder(
            features=self._features(),
            vocabulary=Vocabulary.load(learned.fitted),
            root=self.root,
            n_nearest=min(self.n_nearest, self.n_centroids),
            softness=self.softness,
            encoding=self.encoding,
            power=self.power,
            normalise_words=self.normalise_words,
        )

    def _features(self) -> LocalFeatures:
        from cbir_bench.models.local.features import Grid, Keypoints, LocalFeatures, check_opencv

        check_opencv()
        detector: Grid | Keypoints = Keypoints(max_features=self.max_features)
        if self.detector == "dense":
            detector = Grid(
                step=self.step, patches=self.patch_sides, max_features=self.max_features
            )
        return LocalFeatures(detector=detector, min_size=self.min_size, max_size=self.max_size)

    def _check_words(self) -> None:
        dim = self.n_centroids * (self.pca_dim or _DESCRIPTOR)
        if self.encoding == "vlad" and dim > _MAX_DIM:
            raise SettingError(
                f"VLAD with {self.n_centroids} words of {self.pca_dim or _DESCRIPTOR} numbers makes vectors "
                f"of {dim:,} numbers, more than {_MAX_DIM:,}. Lower n_words, or set pca_dim."
            )
        if self.n_centroids > self.n_samples:
            raise SettingError(
                f"n_words = {self.n_centroids} cannot be learnt from n_samples = {self.n_samples} "
                "descriptors. Raise n_samples or lower n_words."
            )

    def _check_unused(self) -> None:
        """Refuse options that would change nothing but the key."""
        for name in _OF_GRIDS:
            if self.detector == "dog" and getattr(self, name) != getattr(type(self), name):
                raise SettingError(
                    f'{name} is an option of detector = "dense". Set that, or drop {name}.'
                )
        if self.n_nearest == 1 and self.softness != type(self).softness:
            raise SettingError(
                "softness decides between several nearest words. Raise n_nearest, or drop softness."
            )
