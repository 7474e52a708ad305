"""Any backbone of timm, with a pooling and an embedding head; pretrained, trained here, or random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import hash_file
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned

_NAMED_WEIGHTS: Final = ("random", "hub", "train")


@MODELS.register("timm")
@dataclass(frozen=True, kw_only=True)
class TimmModel:
    """A timm backbone, a pooling, an optional linear head, and vectors of length 1.

    Attributes:
        backbone: timm's name of the model, with a tag where its hub has several weights
            ("resnet50.a1_in1k"). For training from scratch on small images: "test_resnet",
            "test_efficientnet", and this project's own "vit_convstem_xs_patch16_64".
        weights: "train" (trained here on the data set's training split), "hub" (timm's pretrained ones),
            "random" (untrained, from the seed), or the path of a .safetensors, .pt, .pth or .bin file.
        pooling: over the positions of the last feature map, or the patch tokens: "avg", "max",
            "gem"; "model" is the backbone's own (for many vision transformers the class token).
        gem_p: exponent of "gem", at least 1; training starts from it and changes it.
        embedding_dim: length of the vectors, from a linear head; 0 leaves the head out and gives the
            pooled features as they are.
        image_size: height and width in pixels that images are resized to; 0 is the model's own.
        framing: "crop" resizes the shorter side and cuts out the centre as timm's own evaluation does,
            "whole" squeezes the whole image into the square; "auto" is "crop" for pretrained weights
            and "whole" for "train" and "random".
        output_stride: pixels between positions of the last feature map, for backbones that can be
            dilated; 0 is the model's own.
        seed: of the random weights, which training starts from.
        device: where it runs; "auto" takes the GPU if there is one.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("torch", "timm", "safetensors")
    TRAINABLE: ClassVar[bool] = True

    backbone: str = "test_resnet"
    weights: str = "random"
    pooling: Literal["avg", "max", "gem", "model"] = "avg"
    gem_p: Annotated[float, Ge(1), Le(100)] = 3.0
    embedding_dim: Annotated[int, Ge(0), Le(65536)] = 0
    image_size: Annotated[int, Ge(0), Le(4096)] = 0
    framing: Literal["auto", "crop", "whole"] = "auto"
    output_stride: Literal[0, 8, 16, 32] = 0
    seed: Annotated[int, Ge(0)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.weights == "hub" and self.embedding_dim:
            raise SettingError(
                f'weights = "hub" has no embedding head, so embedding_dim = {self.embedding_dim} would '
                'project by chance. Set embedding_dim = 0, or weights = "train".'
            )

    @property
    def shows_whole_image(self) -> bool:
        """Whether images are squeezed into the square rather than cropped."""
        if self.framing == "auto":
            return self.weights in {"train", "random"}
        return self.framing == "whole"

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

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Return the network as training starts: ``weights`` from the seed, or timm's for "hub"."""
        from cbir_bench.models.networks.build import make_network

        return make_network(self)

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:
        """Return the network with its weights in place.

        Raises:
            SettingError: if timm cannot make the model, or ``weights = "train"`` without a checkpoint.
            DataError: if the weights are missing, damaged, or another model's.
        """
        from cbir_bench.models.networks.build import load_weights, make_network
        from cbir_bench.models.networks.embedding import NetworkEmbedder

        network = make_network(self)
        if self.weights == "train":
            if learned.trained is None:
                raise SettingError(
                    'weights = "train" needs a checkpoint. Train the model first, or set another.'
                )
            load_weights(network, learned.trained)
        elif self.weights not in _NAMED_WEIGHTS:
            load_weights(network, context.find(self.weights))
        return NetworkEmbedder(network)
