"""The network that is trained and frozen: backbone, pooling, an optional linear head, unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cbir_bench.models.networks.pooling import by_position, make_pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image, Matrix


class EmbeddingNetwork(nn.Module):
    """Images in, vectors of length 1 out.

    Args:
        backbone: a timm model without classifier.
        pooling: "avg", "max", "gem", or "model" for the backbone's own.
        gem_p: the exponent that "gem" starts from.
        embedding_dim: length of the linear head's output; 0 leaves the head out.
        geometry: resizes and crops one image to ``(3, size, size)`` uint8.
        size: height and width of the input in pixels.
        mean, std: of each colour channel, in [0, 1], as the backbone was trained with.
        device: where it is to run, "cpu" or "cuda"; whoever runs it moves it there.
    """

    def __init__(
        self,
        *,
        backbone: Any,
        pooling: str,
        gem_p: float,
        embedding_dim: int,
        geometry: Callable[[Image], NDArray[np.uint8]],
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: str,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = None if pooling == "model" else make_pooling(pooling, gem_p)
        self.geometry = geometry
        self.size = size
        self.device = device
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        n_pooled = self._n_pooled()
        self.head = nn.Linear(n_pooled, embedding_dim) if embedding_dim else None
        self.dim = embedding_dim or n_pooled

    def prepare(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Return images of any size as ``(n, 3, size, size)`` uint8, resized by Pillow."""
        return np.stack([self.geometry(image) for image in images])

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, dim)`` float32 vectors of length 1.

        Args:
            pixels: ``(n, 3, height, width)`` of any dtype, from 0 to 255, RGB.
        """
        pooled = self.pooled(pixels)
        if self.head is not None:
            pooled = self.head(pooled)
        return nn.functional.normalize(pooled.float(), dim=1)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Return ``(n, channels)`` pooled features, neither projected nor of length 1."""
        normal = (pixels.float() - self.mean) / self.std
        features = self.backbone.forward_features(
            normal.contiguous(memory_format=torch.channels_last)
        )
        if self.pool is None:
            return self.backbone.forward_head(features, pre_logits=True).flatten(1)
        return self.pool(by_position(features, self.backbone))

    def _n_pooled(self) -> int:
        """Return the pooled features' length, by a look at one grey image."""
        self.eval()
        with torch.no_grad():
            return int(self.pooled(torch.full((1, 3, self.size, self.size), 127.0)).shape[1])


class NetworkEmbedder:
    """A network with its weights in place, moved to where it runs."""

    def __init__(self, network: EmbeddingNetwork) -> None:
        self.network = network.to(device=network.device, memory_format=torch.channels_last).eval()
        self.dim = network.dim

    def prepare(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Return the resized images of a batch."""
        resized: NDArray[np.uint8] = self.network.prepare(images)
        return resized

    def embed(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[Matrix]:
        """Yield the vectors of each batch of resized images."""
        for pixels in batches:
            with torch.inference_mode():
                vectors = self.network(torch.from_numpy(pixels).to(self.network.device))
            yield vectors.cpu().numpy()
