"""Any backbone of timm, with a pooling and an embedding head; pretrained, trained here, or random."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Gt, Le

from cbir_bench.core.component import LATER
from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import hash_file
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned
    from cbir_bench.core.training_data import TrainingData

_NAMED_WEIGHTS: Final = ("random", "hub", "train")
_LARGEST_SCALE: Final = 8.0


@MODELS.register("timm")
@dataclass(frozen=True, kw_only=True)
class TimmModel:
    """A timm backbone, a pooling, an optional head, and vectors of length 1.

    Attributes:
        backbone: timm's name of the model, with a tag where its hub has several weights
            ("resnet50.a1_in1k"). For training from scratch on small images: "test_resnet",
            "test_efficientnet", and this project's own "vit_convstem_xs_patch16_64".
        weights: "train" (trained here on the data set's training split), "hub" (timm's pretrained ones),
            "random" (untrained, from the seed), or the path of a .safetensors, .pt, .pth or .bin file.
            With a training table, training starts from them, whichever they are.
        pooling: over the positions of the last feature map, or the patch tokens: "avg", "max", "gem",
            "rmac" (regions of several sizes, Tolias 2016); "cls" is the class token of a vision
            transformer, "model" the backbone's own pooling.
        gem_p: exponent of "gem", at least 1; training starts from it and changes it.
        gem_per_channel: whether each channel learns an exponent of its own.
        gem_fixed: whether training leaves the exponent of "gem" alone.
        rmac_levels: scales of regions of "rmac".
        region_pca: directions that regions of "rmac" are reduced to by a PCA-whitening, which is learnt
            from the training split; 0 leaves them as they are.
        embedding_dim: length of the vectors, from a head; 0 leaves the head out and gives the pooled
            features as they are.
        head: "linear", "cgd" (combined global descriptors, Jun 2019) or "bdb" (batch drop block, Dai
            2019); the latter two pool the map themselves.
        descriptors: branches of "cgd" in their order, of S (average), M (maximum) and G (generalised
            mean); the first one is also classified while training.
        drop_height: share of the map's height that "bdb" drops while training.
        drop_width: share of the map's width that "bdb" drops while training.
        image_size: height and width in pixels that images are resized to; 0 is the model's own.
        framing: "crop" resizes the shorter side and cuts out the centre as timm's own evaluation does,
            "whole" squeezes the whole image into the square; "auto" is "whole" for "train" and "random",
            what it was trained with for a checkpoint of this project, and "crop" for other weights.
        scales: sizes at which each image is seen, relative to image_size, such as "1, 0.7071, 0.5"; the
            unit vectors of all of them are added up (Radenovic 2019). Training sees scale 1.
        flip: whether the unit vector of the mirrored image is added, too.
        output_stride: pixels between positions of the last feature map, for backbones that can be
            dilated; 0 is the model's own.
        precision: of the forward pass when embedding; "tf32" (float32 whose products keep 10 bits of
            mantissa) and "float16" are for GPUs.
        seed: of the random weights, which training starts from.
        device: where it runs; "auto" takes the GPU if there is one.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("torch", "timm", "safetensors", "PIL")
    TRAINABLE: ClassVar[bool] = True
    AFTER_TRAINING: ClassVar[frozenset[str]] = frozenset({
        "region_pca", "scales", "flip", "precision",
    })  # fmt: skip

    backbone: str = "test_resnet"
    weights: str = "random"
    pooling: Literal["avg", "max", "gem", "rmac", "cls", "model"] = "avg"
    gem_p: Annotated[float, Ge(1), Le(100)] = 3.0
    gem_per_channel: bool = field(default=False, metadata=LATER)
    gem_fixed: bool = field(default=False, metadata=LATER)
    rmac_levels: Annotated[int, Ge(1), Le(10)] = field(default=3, metadata=LATER)
    region_pca: Annotated[int, Ge(0), Le(65536)] = field(default=0, metadata=LATER)
    embedding_dim: Annotated[int, Ge(0), Le(65536)] = 0
    head: Literal["linear", "cgd", "bdb"] = field(default="linear", metadata=LATER)
    descriptors: str = field(default="SMG", metadata=LATER)
    drop_height: Annotated[float, Gt(0), Le(1)] = field(default=0.33, metadata=LATER)
    drop_width: Annotated[float, Gt(0), Le(1)] = field(default=1.0, metadata=LATER)
    image_size: Annotated[int, Ge(0), Le(4096)] = 0
    framing: Literal["auto", "crop", "whole"] = "auto"
    scales: str = field(default="1", metadata=LATER)
    flip: bool = field(default=False, metadata=LATER)
    output_stride: Literal[0, 8, 16, 32] = 0
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = field(
        default="float32", metadata=LATER
    )
    seed: Annotated[int, Ge(0)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        _ = self.scale_factors
        self._check_pooling()
        self._check_head()

    @property
    def scale_factors(self) -> tuple[float, ...]:
        """The numbers that ``scales`` names.

        Raises:
            SettingError: if one is no number between 0 and 8, or there twice.
        """
        try:
            factors = tuple(float(one) for one in self.scales.split(","))
        except ValueError:
            factors = ()
        if not factors or not all(0 < one <= _LARGEST_SCALE for one in factors):
            raise SettingError(
                f"scales = {self.scales!r} is no list of numbers above 0 and up to {_LARGEST_SCALE:g}. "
                'Write them like "1, 0.7071, 0.5".'
            )
        if len(set(factors)) != len(factors):
            raise SettingError(
                f"scales = {self.scales!r} names a scale twice, which would count twice. Name it once."
            )
        return factors

    @property
    def has_gem(self) -> bool:
        """Whether anything is pooled by a generalised mean."""
        return self.pooling == "gem" or (self.head == "cgd" and "G" in self.descriptors)

    @property
    def needs_fit(self) -> bool:
        """Whether regions are whitened, which is learnt from the training split."""
        return self.region_pca > 0

    def weights_hash(self, context: DataContext) -> str:
        """Return what identifies the weights.

        "train", "random:seed", "hub:architecture.tag", or the SHA-256 of the file.

        Raises:
            DataError: if the file is not there.
            SettingError: if the hub has no such weights.
        """
        if self.weights == "random":
            return f"random:{self.seed}"
        if self.weights == "hub":
            from cbir_bench.models.networks.build import pretrained_name

            return f"hub:{pretrained_name(self.backbone)}"
        return "train" if self.weights == "train" else hash_file(context.find(self.weights))

    def network(self, context: DataContext) -> Any:
        """Return the network as training starts: ``weights`` in the backbone, a head from the seed.

        Raises:
            SettingError: if timm cannot make the model.
            DataError: if the weights are missing, damaged, or another model's.
        """
        from cbir_bench.models.networks.build import make_network, network_to_train

        if self.weights not in _NAMED_WEIGHTS:
            return network_to_train(self, context.find(self.weights))
        return make_network(self, from_hub=self.weights == "hub")

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:
        """Return the network with its weights in place.

        Raises:
            SettingError: if timm cannot make the model, or something is to be learnt first.
            DataError: if the weights are missing, damaged, or another model's.
        """
        from cbir_bench.models.networks.build import sizes_of
        from cbir_bench.models.networks.embedder import NetworkEmbedder
        from cbir_bench.models.networks.region_whitening import put_whitening

        network = self._with_weights(context, learned.trained)
        sizes = sizes_of(self, network)
        if self.needs_fit:
            if learned.fitted is None:
                raise SettingError(
                    f"region_pca = {self.region_pca} is learnt from a training split. Choose a data set that "
                    "has one, or set region_pca = 0."
                )
            put_whitening(network, learned.fitted)
        return NetworkEmbedder(network, sizes, flip=self.flip, precision=self.precision)

    def fit(
        self,
        context: DataContext,
        trained: Path | None,
        training: TrainingData,
        progress: Callable[[int, int], None],
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return the whitening of regions, learnt at scale 1.

        Raises:
            SettingError: as ``embedder``, or if the regions do not vary in so many directions.
            DataError: as ``embedder``, or if an image cannot be read.
        """
        from cbir_bench.models.networks.region_whitening import learn_whitening

        network = self._with_weights(context, trained)
        return learn_whitening(network, training, self.region_pca, progress)

    def _with_weights(self, context: DataContext, trained: Path | None) -> Any:
        from cbir_bench.models.networks.build import loaded_network, make_network

        if trained is not None:
            return loaded_network(self, trained)
        if self.weights == "train":
            raise SettingError(
                'weights = "train" needs a checkpoint. Train the model first, or set another.'
            )
        if self.weights == "hub" and self.embedding_dim:
            raise SettingError(
                f'weights = "hub" has no embedding head, so embedding_dim = {self.embedding_dim} would '
                "project by chance. Set embedding_dim = 0, or add a [model.training] table to train it."
            )
        if self.weights not in _NAMED_WEIGHTS:
            return loaded_network(self, context.find(self.weights))
        return make_network(self, from_hub=self.weights == "hub")

    def _check_pooling(self) -> None:
        if self.gem_per_channel and self.gem_fixed:
            raise SettingError(
                "gem_per_channel gives each channel an exponent to learn, which gem_fixed forbids. Set one."
            )
        if (self.gem_per_channel or self.gem_fixed) and self.pooling != "gem":
            raise SettingError(
                f'gem_per_channel and gem_fixed go with pooling = "gem" only, not {self.pooling!r}.'
            )
        if self.gem_p != 3 and not self.has_gem:
            raise SettingError(
                f'gem_p = {self.gem_p:g} goes with pooling = "gem" or the G of head = "cgd" only, and '
                "neither is set. Leave it out."
            )
        if (self.region_pca or self.rmac_levels != 3) and self.pooling != "rmac":
            raise SettingError(
                f'rmac_levels and region_pca go with pooling = "rmac" only, not {self.pooling!r}.'
            )
        if self.region_pca and self.embedding_dim:
            raise SettingError(
                f"region_pca = {self.region_pca} is learnt after training, so a head of embedding_dim = "
                f"{self.embedding_dim} cannot be trained on it. Set one of them to 0."
            )

    def _check_head(self) -> None:
        if self.head != "linear" and self.pooling != "avg":
            raise SettingError(
                f"head = {self.head!r} pools by itself, so pooling = {self.pooling!r} would do nothing. "
                "Leave pooling out."
            )
        least = {"linear": 0, "cgd": len(self.descriptors), "bdb": 3}[self.head]
        if self.embedding_dim < least:
            raise SettingError(
                f"head = {self.head!r} shares embedding_dim among its branches, but it is "
                f"{self.embedding_dim}. Set it to {least} or more."
            )
        letters = set(self.descriptors)
        if not letters or not letters <= set("SMG") or len(letters) < len(self.descriptors):
            raise SettingError(
                f"descriptors = {self.descriptors!r} is no choice of S, M and G. "
                'Name each branch once, like "SMG" or "GM".'
            )
        if self.head != "cgd" and self.descriptors != "SMG":
            raise SettingError(
                f'descriptors go with head = "cgd" only, not {self.head!r}. Leave them out.'
            )
        if self.head != "bdb" and (self.drop_height, self.drop_width) != (0.33, 1):
            raise SettingError(
                f'drop_height and drop_width go with head = "bdb" only, not {self.head!r}. Leave them out.'
            )
        if self.head == "cgd" and self.embedding_dim % len(self.descriptors):
            raise SettingError(
                f"embedding_dim = {self.embedding_dim} cannot be shared equally by the "
                f"{len(self.descriptors)} descriptors {self.descriptors!r}. Set a multiple."
            )
