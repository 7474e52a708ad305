"""The options of training: every one a sweep axis, and all of them part of the checkpoint's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from cbir_bench.core.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """How a model is trained on a data set's training split.

    Every step takes ``classes_per_batch`` classes and ``images_per_class`` images of each. The
    optimiser is AdamW; its learning rate rises linearly, then falls along a cosine to 0.

    Attributes:
        loss: "multi-similarity" (Wang 2019, with its miner), "contrastive" (Hadsell 2006), "triplet"
            (Schroff 2015, semi-hard), "n-pair" (Sohn 2016), "arcface" (Deng 2019), "proxy-anchor"
            (Kim 2020), "cross-entropy" (over normalised class weights, Zhai and Wu 2019).
        steps: batches to train for.
        classes_per_batch: classes in a batch, at least 2.
        images_per_class: images of each class in a batch, at least 2; drawn twice where a class
            has fewer.
        learning_rate: its peak.
        loss_learning_rate: of the loss's own weights (class centres and proxies), its peak.
        weight_decay: of AdamW.
        warmup: share of the steps over which the learning rate rises.
        flip: whether images are mirrored at random.
        zoom: images are enlarged, shrunk and shifted at random by up to this share of their side.
        colour: brightness of each colour channel is changed at random by up to this share.
        precision: of the forward pass; "bfloat16" is faster on CPUs and GPUs that compute in it,
            slower on others.
        n_threads: CPU threads; the same seed gives the same weights for the same number of threads.
        seed: of batches and augmentation; the model's own seed draws its first weights.
    """

    loss: Literal[
        "multi-similarity",
        "contrastive",
        "triplet",
        "n-pair",
        "arcface",
        "proxy-anchor",
        "cross-entropy",
    ] = "multi-similarity"
    steps: Annotated[int, Ge(1), Le(10_000_000)] = 400
    classes_per_batch: Annotated[int, Ge(2), Le(100_000)] = 32
    images_per_class: Annotated[int, Ge(2), Le(10_000)] = 4
    learning_rate: Annotated[float, Gt(0), Le(10)] = 5e-3
    loss_learning_rate: Annotated[float, Gt(0), Le(100)] = 3e-2
    weight_decay: Annotated[float, Ge(0), Le(10)] = 1e-2
    warmup: Annotated[float, Ge(0), Le(0.9)] = 0.1
    flip: bool = False
    zoom: Annotated[float, Ge(0), Le(0.5)] = 0.0
    colour: Annotated[float, Ge(0), Le(0.9)] = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    n_threads: Annotated[int, Ge(1), Le(1024)] = 2
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self.classes_per_batch * self.images_per_class

    def check(self, n_classes: int) -> None:
        """Refuse a training split with too few classes for a batch.

        Args:
            n_classes: classes with at least two images.

        Raises:
            SettingError: with both numbers.
        """
        if n_classes < max(self.classes_per_batch, 2):
            raise SettingError(
                f"A batch needs {self.classes_per_batch} classes, but the training split has "
                f"{n_classes} with at least two images. Set classes_per_batch to {max(n_classes, 2)} or "
                "less, or train on more classes."
            )
