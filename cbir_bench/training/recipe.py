"""The options of training: every one a sweep axis, and all of them part of the checkpoint's key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from cbir_bench.core.component import LATER
from cbir_bench.core.errors import SettingError

Loss: TypeAlias = Literal[
    "multi-similarity",
    "contrastive",
    "triplet",
    "n-pair",
    "arcface",
    "proxy-anchor",
    "cross-entropy",
]
Miner: TypeAlias = Literal["auto", "none", "random", "semi-hard", "hard", "multi-similarity"]

_MINERS: Final[dict[str, tuple[str, ...]]] = {
    "multi-similarity": ("multi-similarity", "none", "random", "hard"),
    "contrastive": ("none", "random", "semi-hard", "hard", "multi-similarity"),
    "triplet": ("semi-hard", "none", "random", "hard", "multi-similarity"),
    "n-pair": ("none", "random", "hard", "multi-similarity"),
    "arcface": ("none",),
    "proxy-anchor": ("none",),
    "cross-entropy": ("none",),
}
"""The miners that go with a loss; the first is what "auto" takes."""
_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "multi-similarity": ("margin", "scale"),
    "contrastive": ("margin", "positive_margin"),
    "triplet": ("margin",),
    "n-pair": ("temperature",),
    "arcface": ("margin", "scale", "loss_learning_rate"),
    "proxy-anchor": ("margin", "scale", "loss_learning_rate"),
    "cross-entropy": ("temperature", "loss_learning_rate"),
}
"""The options that a loss has of its own; at 0 they are what the loss's file says."""
_OWN: Final = ("margin", "positive_margin", "temperature", "scale", "loss_learning_rate")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """How a model is trained on a data set's training split.

    Every step takes ``classes_per_batch`` classes and ``images_per_class`` images of each. The
    optimiser is AdamW; its learning rate rises linearly, then falls along a cosine to 0.

    Attributes:
        loss: "multi-similarity" (Wang 2019), "contrastive" (Hadsell 2006, of cosines), "triplet" (Schroff
            2015), "n-pair" (the tuplet loss of Sohn 2016), "arcface" (Deng 2019), "proxy-anchor"
            (Kim 2020), "cross-entropy" (over normalised class weights, Zhai and Wu 2019).
        miner: which pairs or triplets of a batch the loss sees: "none" (all), "random" (for each positive
            pair one negative by lot), "semi-hard" (triplets whose negative is farther than the
            positive, but within the margin), "hard" (the farthest positive and the nearest negative
            of each image), "multi-similarity" (Wang 2019); "auto" is what the loss's authors use.
        margin: of the loss; 0 is its own: 0.5 for contrastive (the cosine that negatives are pushed
            below), 0.2 for triplet (of squared distances), 0.5 for multi-similarity (the cosine
            that its exponents turn at), 0.3 for arcface (radians), 0.1 for proxy-anchor.
        positive_margin: the cosine from which contrastive leaves a positive pair alone; 0 is never.
        temperature: that cosines are divided by; 0 is the loss's own: 0.07 for n-pair, 0.1 for
            cross-entropy.
        scale: that cosines are multiplied with; 0 is the loss's own: 50 for multi-similarity (negatives),
            16 for arcface, 8 for proxy-anchor.
        steps: batches to train for.
        classes_per_batch: classes in a batch, at least 2; 0 is the loss's own: 64 for losses with class
            weights (arcface, proxy-anchor, cross-entropy), 32 for losses over pairs, but no more than
            there are to train on.
        images_per_class: images of each class in a batch, at least 2, drawn twice where a class has fewer;
            0 is the loss's own: 2 for losses with class weights, 4 for losses over pairs.
        learning_rate: its peak; 0 is 0.01 where training starts from the seed, and 0.0003 where it starts
            from weights of a file or the hub, which 0.01 would ruin.
        backbone_rate: the backbone learns at this share of the learning rate; below 1 to keep more of
            what pretrained weights know.
        loss_learning_rate: peak of the loss's own weights (class centres and proxies); 0 is the loss's own:
            0.3 for arcface and cross-entropy; for proxy-anchor 0.1, and 0.03 where training starts from
            weights of a file or the hub.
        weight_decay: of AdamW.
        warmup: share of the steps over which the learning rate rises.
        clip_norm: gradients longer than this are shortened to it; 0 leaves them as they are.
        freeze_norm: whether batch norms keep the statistics that they start with, for pretrained weights
            and batches too small to measure by.
        label_smoothing: of the classification beside the ranking loss, for heads that have one (cgd, bdb).
        softmax_temperature: of the same; below 1 sharpens.
        flip: whether images are mirrored at random.
        zoom: images are enlarged, shrunk and shifted at random by up to this share of their side.
        colour: brightness of each colour channel is changed at random by up to this share.
        held_out: share of the training classes kept aside to validate on, where the data set has no
            validation split.
        validate_every: steps between validations, after which the best weights are kept; 0 validates once,
            at the end.
        patience: training stops after so many validations without a better one; 0 never stops early.
        precision: of the forward pass: "bfloat16" is faster on CPUs and GPUs that compute in it, slower on
            others; "float16" is for GPUs; "auto" is "bfloat16" where the hardware computes in it.
        n_threads: CPU threads; the same seed gives the same weights for the same number of threads.
        seed: of batches and augmentation; the model's own seed draws its first weights.
    """

    loss: Loss = "multi-similarity"
    miner: Miner = field(default="auto", metadata=LATER)
    margin: Annotated[float, Ge(0), Le(4)] = field(default=0.0, metadata=LATER)
    positive_margin: Annotated[float, Ge(0), Le(1)] = field(default=0.0, metadata=LATER)
    temperature: Annotated[float, Ge(0), Le(100)] = field(default=0.0, metadata=LATER)
    scale: Annotated[float, Ge(0), Le(1000)] = field(default=0.0, metadata=LATER)
    steps: Annotated[int, Ge(1), Le(10_000_000)] = 300
    classes_per_batch: Annotated[int, Ge(0), Le(100_000)] = 0
    images_per_class: Annotated[int, Ge(0), Le(10_000)] = 0
    learning_rate: Annotated[float, Ge(0), Le(10)] = 0.0
    backbone_rate: Annotated[float, Gt(0), Le(10)] = field(default=1.0, metadata=LATER)
    loss_learning_rate: Annotated[float, Ge(0), Le(100)] = 0.0
    weight_decay: Annotated[float, Ge(0), Le(10)] = 1e-2
    warmup: Annotated[float, Ge(0), Le(0.9)] = 0.1
    clip_norm: Annotated[float, Ge(0), Le(1e6)] = field(default=0.0, metadata=LATER)
    freeze_norm: bool = field(default=False, metadata=LATER)
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = field(default=0.1, metadata=LATER)
    softmax_temperature: Annotated[float, Gt(0), Le(100)] = field(default=0.5, metadata=LATER)
    flip: bool = False
    zoom: Annotated[float, Ge(0), Le(0.5)] = 0.0
    colour: Annotated[float, Ge(0), Le(0.9)] = 0.0
    held_out: Annotated[float, Ge(0), Le(0.9)] = field(default=0.0, metadata=LATER)
    validate_every: Annotated[int, Ge(0), Le(10_000_000)] = field(default=0, metadata=LATER)
    patience: Annotated[int, Ge(0), Le(1_000_000)] = field(default=0, metadata=LATER)
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    n_threads: Annotated[int, Ge(1), Le(1024)] = 2
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0

    def __post_init__(self) -> None:
        allowed = _MINERS[self.loss]
        if self.miner not in ("auto", *allowed):
            raise SettingError(
                f'miner = "{self.miner}" does not go with loss = "{self.loss}". '
                f"Set it to one of: auto, {', '.join(allowed)}."
            )
        for option in _OWN:
            if getattr(self, option) and option not in _OPTIONS[self.loss]:
                having = [loss for loss, own in _OPTIONS.items() if option in own]
                raise SettingError(
                    f'{option} = {getattr(self, option)} does nothing with loss = "{self.loss}". '
                    f"Leave it out, or choose a loss that has it: {', '.join(having)}."
                )
        for option in ("classes_per_batch", "images_per_class"):
            if getattr(self, option) == 1:
                raise SettingError(
                    f"{option} = 1 leaves nothing to compare with. Set it to 2 or more, or to 0 for the "
                    "loss's own."
                )
        if self.patience and not self.validate_every:
            raise SettingError(
                f"patience = {self.patience} counts validations, but validate_every = 0 validates once, "
                "at the end. Set validate_every to a number of steps."
            )

    @property
    def batch_classes(self) -> int:
        """Classes in a batch, the loss's own resolved, of as many classes as it asks for."""
        return self.classes_per_batch or (64 if self._has_class_weights else 32)

    def batch_classes_of(self, n_classes: int) -> int:
        """Return the classes in a batch of a data set: the loss's own are no more than there are."""
        return self.classes_per_batch or max(2, min(self.batch_classes, n_classes))

    @property
    def batch_images(self) -> int:
        """Images of each class in a batch, the loss's own resolved."""
        return self.images_per_class or (2 if self._has_class_weights else 4)

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self.batch_classes * self.batch_images

    @property
    def _has_class_weights(self) -> bool:
        """Whether the loss compares images with weights of their classes: best with many classes at once."""
        return "loss_learning_rate" in _OPTIONS[self.loss]

    @property
    def chosen_miner(self) -> str:
        """The miner, with "auto" resolved."""
        return _MINERS[self.loss][0] if self.miner == "auto" else self.miner

    def check(self, n_classes: int, n_held_out: int = 0) -> None:
        """Refuse a training split with too few classes for a batch.

        Args:
            n_classes: classes to train on, each with at least two images.
            n_held_out: classes of the training split that are kept aside.

        Raises:
            SettingError: with both numbers.
        """
        n_needed = self.batch_classes_of(n_classes)
        if n_classes >= n_needed:
            return
        ways = [f"Set classes_per_batch to {n_classes} or less"] if n_classes > 1 else []
        if n_held_out:
            ways.append("set held_out to a smaller share or to 0")
        ways.append("train on more classes")
        advice = ", or ".join(ways)
        aside = (
            f" left, as held_out = {self.held_out} keeps {n_held_out} aside" if n_held_out else ""
        )
        raise SettingError(
            f"A batch needs {n_needed} classes, but the training split has "
            f"{n_classes} with at least two images{aside}. {advice[0].upper()}{advice[1:]}."
        )
