"""Scores of held-out images while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from cbir_bench.training.randomness import private_draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_BATCH: Final = 128


class Score(Protocol):
    """Says how good vectors are."""

    def __call__(self, vectors: Matrix, classes: NDArray[np.int64], /) -> dict[str, float]:
        """Return scores by name, higher is better; the first one decides which weights are best.

        Args:
            vectors: ``(n, dim)`` float32 of length 1.
            classes: ``(n,)`` from 0.
        """
        ...


class Validator:
    """Held-out images, and what scores them.

    Args:
        pixels: ``(n_images, 3, height, width)`` uint8.
        classes: ``(n_images,)`` from 0.
        score: says how good their vectors are.
    """

    def __init__(self, pixels: NDArray[np.uint8], classes: NDArray[np.int64], score: Score) -> None:
        self._pixels, self._classes, self._score = pixels, classes, score

    def scores(self, network: Any) -> dict[str, float]:
        """Return the network's scores, in float32 as it will be frozen; leaves it in evaluation mode.

        No random number of the training's own is drawn.
        """
        network.eval()
        with private_draws(network.device):
            return {
                name: float(value)
                for name, value in self._score(self._vectors(network), self._classes).items()
            }

    def _vectors(self, network: Any) -> Matrix:
        import torch

        vectors = []
        with torch.inference_mode():
            for start in range(0, len(self._pixels), _BATCH):
                images = torch.from_numpy(self._pixels[start : start + _BATCH])
                vectors.append(network(images.to(network.device)).float().cpu().numpy())
        return np.concatenate(vectors)
