"""The border of the stage ``models``: from images, texts or ids to vectors."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    NamedTuple,
    Protocol,
    runtime_checkable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.training_data import TrainingData


class Learned(NamedTuple):
    """What a model has learnt from a training split, as safetensors files.

    Attributes:
        trained: written by the trainer; None for a model that is not trained here.
        fitted: what ``FittedModel.fit`` returned; None for a model that fits nothing.
    """

    trained: Path | None = None
    fitted: Path | None = None


class Embedder(Protocol):
    """A model with its weights in place."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def prepare(self) -> Callable[[Sequence[Image]], Any]:
        """What is done to each batch of images before the model proper: resizing, say.

        An image is decoded when it is looked at, so a pass over the images holds one of them at a time.
        Readers call it, several at once, in threads or in other processes, so it has to be safe for
        both: a function or object that can be pickled and changes nothing.
        """
        ...

    def embed(self, batches: Iterable[Any]) -> Iterable[Matrix]:
        """Yield the ``(n, dim)`` float32 vectors of each batch that ``prepare`` returned, in order."""
        ...


class Model(Protocol):
    """A frozen dataclass of options, registered in ``MODELS``."""

    REQUIRES: ClassVar[tuple[str, ...]]
    """Modules that ``embedder`` imports beyond NumPy, for example ("torch", "timm")."""
    TRAINABLE: ClassVar[bool]
    """Whether it can be trained; then ``network`` gives what to train. Options that training never sees
    may be listed in ``AFTER_TRAINING``, a frozen set of names: one training serves all their values."""

    def weights_hash(self, context: DataContext) -> str:
        """Return what identifies the weights it starts with: a file's SHA-256, a hub's tag, or the seed."""
        ...

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:
        """Return the model ready to embed.

        Args:
            context: finds weight files.
            learned: what it has learnt here.
        """
        ...

    def network(self, context: DataContext) -> Any:
        """Return the torch module to train: images in, unit vectors out."""
        ...


@runtime_checkable
class FittedModel(Protocol):
    """A model that may learn something without gradients: a vocabulary, the whitening of regions."""

    @property
    def needs_fit(self) -> bool:
        """Whether it does, with its options as they are."""
        ...

    def fit(
        self,
        context: DataContext,
        trained: Path | None,
        training: TrainingData,
        progress: Callable[[int, int], None],
    ) -> Mapping[str, NDArray[np.generic]]:
        """Return what it learns from the training split, as named arrays.

        Args:
            context: finds weight files.
            trained: the trainer's checkpoint, for a model that is also trained.
            training: training and validation images; there are no others to learn from.
            progress: told ``(n_done, n_total)`` images.
        """
        ...


@runtime_checkable
class TextModel(Protocol):
    """A model with a tower for texts, whose vectors can be compared with those of images."""

    def embed_texts(self, context: DataContext, texts: Sequence[str]) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors of texts."""
        ...


@runtime_checkable
class GivenVectors(Protocol):
    """Vectors that somebody made elsewhere, by the ids of images: no image is read."""

    def vectors(self, context: DataContext, ids: Sequence[str], *, test: bool = True) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors of items.

        Args:
            context: finds files.
            ids: of the items.
            test: whether they are those of the test split, all of them and in their order; False for items
                that something is learnt from, which must not be given the vectors of others.

        Raises:
            DataError: if an item has none; the message names some of them.
        """
        ...
