"""The border of the stage ``models``: from images to vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cbir_bench.core.arrays import Image, Matrix
    from cbir_bench.core.dataset import DataContext


class Embedder(Protocol):
    """A model with its weights in place."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def embed(self, images: Iterable[list[Image]]) -> Iterable[Matrix]:
        """Yield the ``(n, dim)`` float32 vectors of each batch of images, in order."""
        ...


class Model(Protocol):
    """A frozen dataclass of options, registered in ``MODELS``."""

    REQUIRES: ClassVar[tuple[str, ...]]
    """Modules that ``embedder`` imports beyond NumPy, for example ("torch", "timm")."""
    TRAINABLE: ClassVar[bool]
    """Whether ``weights = "train"`` is possible; then ``network`` gives what to train."""

    def weights_hash(self, context: DataContext) -> str:
        """Return what identifies the weights: a file's SHA-256, a hub's tag, or the seed."""
        ...

    def embedder(self, context: DataContext, checkpoint: Path | None) -> Embedder:
        """Return the model ready to embed.

        Args:
            context: finds weight files.
            checkpoint: safetensors written by the trainer; None unless ``weights = "train"``.
        """
        ...

    def network(self, context: DataContext) -> Any:
        """Return the torch module to train: images in, unit vectors out."""
        ...
