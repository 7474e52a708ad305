"""The network that is trained and frozen: a backbone, a pooling, a head, and vectors of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from cbir_bench.models.networks.features import as_map, class_token
from cbir_bench.models.networks.heads import Branches, Head, PlainHead, unit
from cbir_bench.models.networks.made_as import header_of
from cbir_bench.models.networks.regions import RegionalMaxPooling, RegionWhitening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cbir_bench.models.networks.made_as import MadeAs
    from cbir_bench.models.preparation import Preparation

Reads: TypeAlias = Literal["map", "class token", "model"]
"""What is made of the backbone's features: a map, the class token, or what the backbone itself pools."""


class EmbeddingNetwork(nn.Module):
    """Images in, vectors of length 1 out.

    Args:
        backbone: a timm model without classifier.
        reads: what is made of its features.
        pool: given the number of channels, returns what pools a map; only where ``reads`` is "map".
        head: given the shape of what is pooled, without the images, returns the head.
        preparation: resizes and crops images, and gives the size of the input.
        mean, std: of each colour channel, in [0, 1], as the backbone was trained with.
        device: where it is to run, "cpu" or "cuda"; whoever runs it moves it there.
        made_as: the options that it is made from.
        pretrained: whether it gets weights of a file or the hub, so that training has something to ruin.
    """

    def __init__(
        self,
        *,
        backbone: Any,
        reads: Reads,
        pool: Callable[[int], Any],
        head: Callable[[tuple[int, ...]], Head],
        preparation: Preparation,
        mean: Sequence[float],
        std: Sequence[float],
        device: str,
        made_as: MadeAs,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self._still: tuple[Any, ...] = ()
        self.backbone = backbone
        self.reads = reads
        self.prepare = preparation
        self.device = device
        self.made_as = made_as
        self.pretrained = pretrained
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.pool = nn.Identity()
        if reads == "map":
            self.pool = pool(self.shape_at(preparation.size)[0])
        self.head: Any = head(self.shape_at(preparation.size))

    @property
    def header(self) -> dict[str, str]:
        """What a safetensors file of its weights says of it beside them."""
        return header_of(self.made_as)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self.head.dim)

    @property
    def ranked_dims(self) -> tuple[int, ...]:
        """Lengths of the vectors that ``branches`` gives to rank."""
        dims: tuple[int, ...] = self.head.ranked_dims
        return dims

    @property
    def classified_dims(self) -> tuple[int, ...]:
        """Lengths of the features that ``branches`` gives to classify."""
        dims: tuple[int, ...] = self.head.classified_dims
        return dims

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, dim)`` float32 vectors of length 1.

        Args:
            pixels: ``(n, 3, height, width)`` of any dtype, from 0 to 255, RGB.
        """
        return unit(self.head(self.described(pixels)))

    def branches(self, pixels: Tensor) -> Branches:
        """Return what the losses are applied to while training."""
        branches: Branches = self.head.branches(self.described(pixels))
        return branches

    def described(self, pixels: Tensor) -> Tensor:
        """Return what the head is given: ``(n, channels)`` pooled features, or the map where it pools."""
        features = self.features(pixels)
        if self.reads == "model":
            pooled: Tensor = self.backbone.forward_head(features, pre_logits=True)
            return pooled.flatten(1)
        if self.reads == "class token":
            return self._normed(class_token(features, self.backbone))
        height, width = pixels.shape[2:]
        pooled = self.pool(as_map(features, self.backbone, height, width))
        if pooled.ndim == 2 and not isinstance(self.pool, RegionalMaxPooling):
            return self._normed(pooled)
        return pooled

    def regions(self, pixels: Tensor) -> Tensor:
        """Return ``(n, n_regions, channels)``: the regions of R-MAC, of length 1, not whitened."""
        height, width = pixels.shape[2:]
        features = as_map(self.features(pixels), self.backbone, height, width)
        regions: Tensor = self.pool.regions(features)
        return regions

    def features(self, pixels: Tensor) -> Any:
        """Return what the backbone gives before pooling, in a layout of its own."""
        images = pixels.float().contiguous(memory_format=torch.channels_last)
        mean, std = (_along_a_row(one, pixels.shape[3]) for one in (self.mean, self.std))
        return self.backbone.forward_features((images - mean).div_(std))

    def whiten_regions(self, mean: Tensor, projection: Tensor) -> None:
        """Whiten the regions of R-MAC from now on; vectors then have ``len(projection)`` numbers.

        Args:
            mean: ``(channels,)`` float32.
            projection: ``(dim, channels)`` float32.
        """
        self.pool.whitening = RegionWhitening(mean, projection)
        self.head = PlainHead(len(projection))

    def keep_still(self, layers: Iterable[Any]) -> None:
        """Let batch norms use their stored statistics even while training."""
        self._still = tuple(layers)
        self.train(self.training)

    def train(self, mode: bool = True) -> EmbeddingNetwork:  # noqa: FBT001, FBT002  torch's signature
        """Switch between training and evaluation, but for the layers that were told to keep still."""
        super().train(mode)
        for layer in self._still:
            layer.eval()
        return self

    def shape_at(self, size: int) -> tuple[int, ...]:
        """Return the shape of ``described`` for images of a size, without their number, by a look at one."""
        before = self.training
        self.eval()
        with torch.no_grad():
            grey = torch.full((1, 3, size, size), 127.0, device=self.mean.device)
            shape = tuple(self.described(grey).shape[1:])
        self.train(before)
        return shape

    def _normed(self, pooled: Tensor) -> Tensor:
        """Return pooled features after the norm that some transformers of timm apply to them."""
        norm = getattr(self.backbone, "fc_norm", None)
        return norm(pooled) if isinstance(norm, nn.Module) else pooled


def _along_a_row(channels: Tensor, width: int) -> Tensor:
    """Return ``(1, 3, 1, 1)`` values for every pixel of a row: six times as fast to broadcast on a CPU."""
    return channels.expand(1, 3, 1, width).contiguous(memory_format=torch.channels_last)
