"""Models of images and texts from open_clip: CLIP, SigLIP, CoCa and their kin.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021; Ilharco et
al., OpenCLIP, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge

from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import hash_file
from cbir_bench.core.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned

_HUB: Final = "hub:"


@MODELS.register("open_clip")
@dataclass(frozen=True, kw_only=True)
class OpenClipModel:
    """The image tower of an open_clip model, and its text tower for queries in words.

    Attributes:
        model: open_clip's name of the architecture ("ViT-B-32", "ViT-B-16-SigLIP"), or the path of a .json
            file that describes one as open_clip's own do (embed_dim, vision_cfg, text_cfg).
        weights: "hub:TAG" (pretrained, by open_clip's tag: "hub:laion2b_s34b_b79k"), "random" (untrained,
            from the seed), or the path of a .safetensors, .pt, .pth or .bin file.
        seed: of the random weights.
        device: where it runs; "auto" takes the GPU if there is one.
        precision: what most of it is computed in; "bfloat16" and "float16" are faster where the device
            has units for them, and change vectors in the third digit.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("torch", "open_clip", "timm", "safetensors", "PIL")
    TRAINABLE: ClassVar[bool] = False

    model: str = "ViT-B-32"
    weights: str = "random"
    seed: Annotated[int, Ge(0)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        if self.weights in {"hub", _HUB}:
            raise SettingError(
                f"weights = {self.weights!r} names no tag, and open_clip's hub has several weights for a "
                'model. Set it to "hub:TAG", as in "hub:laion2b_s34b_b79k".'
            )
        if self.tag and self.is_described:
            raise SettingError(
                f"weights = {self.weights!r} are those of one of open_clip's own architectures, but "
                f"model = {self.model!r} is a file. Set weights to a file, too, or model to a name."
            )

    @property
    def tag(self) -> str:
        """open_clip's tag of pretrained weights; "" for others."""
        return self.weights.removeprefix(_HUB) if self.weights.startswith(_HUB) else ""

    @property
    def is_described(self) -> bool:
        """Whether ``model`` is a file that describes the architecture, rather than a name."""
        return self.model.endswith(".json")

    def weights_hash(self, context: DataContext) -> str:
        """Return what identifies the weights, and the architecture where a file describes it.

        "random:seed", "hub:model/tag", or the SHA-256 of the file.

        Raises:
            DataError: if a file is not there.
        """
        if self.weights == "random":
            weights = f"random:{self.seed}"
        elif self.tag:
            weights = f"{_HUB}{self.model}/{self.tag}"
        else:
            weights = hash_file(context.find(self.weights))
        return f"{weights}, {hash_file(context.find(self.model))}" if self.is_described else weights

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:  # noqa: ARG002
        """Return the image tower with its weights in place.

        Raises:
            SettingError: if open_clip knows neither the model nor the tag.
            DataError: if the weights cannot be had, are damaged, or another model's.
        """
        from cbir_bench.models.networks.clip import ImageTower, make_clip
        from cbir_bench.models.networks.embedder import NetworkEmbedder

        clip = make_clip(self, context)
        tower = ImageTower(clip, self.device)
        return NetworkEmbedder(tower, (clip.preparation,), precision=self.precision)

    def embed_texts(self, context: DataContext, texts: Sequence[str]) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors of texts, each of length 1.

        Warns of texts that are longer than the model reads; their ends are cut off.

        Raises:
            SettingError, DataError: as ``embedder``; also if the tokenizer cannot be had.
        """
        from cbir_bench.models.networks.clip import make_clip
        from cbir_bench.models.networks.clip_texts import text_vectors

        return text_vectors(make_clip(self, context), texts, self.device, self.precision)

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Refuse: its two towers were trained together, with texts."""
        raise SettingError(
            "An open_clip model has nothing to train here: that takes texts. Drop its [model.training] "
            'table, or train a CLIP image tower of timm: use = "timm", backbone = '
            '"vit_base_patch32_clip_224.openai", weights = "hub".'
        )
