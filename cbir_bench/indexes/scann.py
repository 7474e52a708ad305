"""ScaNN: anisotropic vector quantisation. Guo et al., ICML 2020; SOAR: Sun et al., NeurIPS 2023."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.checks import check_beam, check_idle, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_BYTES: Final[dict[str, int]] = {"float32": 4, "bfloat16": 2, "int8": 1}
_TREE_OPTIONS: Final = (
    "leaves_to_search",
    "min_partition",
    "spherical",
    "quantize_centroids",
    "random_init",
    "soar_lambda",
)
_CODE_OPTIONS: Final = ("dims_per_block", "anisotropic_threshold", "hash_type")
_TRAINING_OPTIONS: Final = ("training_sample", "training_iterations")
_UNSET: Final = -1
"""What ScaNN takes for an option of a stage that the index does not have."""
_CENTROIDS: Final[dict[str, int]] = {"lut16": 16, "lut256": 256}


@dataclass(kw_only=True, eq=False)
class ScannHandle:
    """ScaNN's searcher, and the threads of a batch, which decide which of its methods is called."""

    searcher: Any
    n_threads: int


@INDEXES.register("scann")
@dataclass(frozen=True, kw_only=True)
class ScannIndex:
    """A tree of leaves, codes that rank what is in them, and exact similarities for the best.

    ScaNN takes no seed. With ``random_init = false`` and one thread its builds repeat themselves.

    Attributes:
        leaves: k-means partitions, at most the base's size; 0 searches all codes without a tree.
        leaves_to_search: partitions searched per query, 1 to leaves.
        training_sample: vectors that the partitions and the codebooks are trained on, at least 1.
        training_iterations: iterations of k-means, at least 1.
        min_partition: partitions with fewer items are merged, at least 1.
        spherical: whether the partitions' centres are scaled to length 1.
        quantize_centroids: whether the centres are compared as int8.
        random_init: whether k-means starts at random; faster, but every build differs.
        soar_lambda: weight of the second partition of each item (about 1.5); 0 gives it only one.
            Not in the space "l2".
        scoring: "ah" scores by codes (asymmetric hashing), "brute_force" by the vectors themselves.
        dims_per_block: dimensions that share a code, at least 1; fewer is finer and slower.
        anisotropic_threshold: how much more the error along the vector counts, 0 to 1; 0 counts all
            directions alike.
        hash_type: codebooks of 16 entries in registers ("lut16") or of 256 in memory ("lut256").
        reorder_type: how vectors are kept for the exact similarities: "float32", "bfloat16", "int8",
            or "none" for no second look.
        reorder: best candidates that are scored again, at least k.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"leaves_to_search", "reorder"})
    EFFORT: ClassVar[frozenset[str]] = SEARCH_PARAMS
    REQUIRES: ClassVar[tuple[str, ...]] = ("scann",)
    EXACT: ClassVar[bool] = False

    leaves: Annotated[int, Ge(0)] = 100
    leaves_to_search: Annotated[int, Ge(1)] = 10
    training_sample: Annotated[int, Ge(1)] = 100_000
    training_iterations: Annotated[int, Ge(1)] = 12
    min_partition: Annotated[int, Ge(1)] = 50
    spherical: bool = False
    quantize_centroids: bool = False
    random_init: bool = False
    soar_lambda: Annotated[float, Ge(0)] = 0.0
    scoring: Literal["ah", "brute_force"] = "ah"
    dims_per_block: Annotated[int, Ge(1)] = 2
    anisotropic_threshold: Annotated[float, Ge(0)] = 0.2
    hash_type: Literal["lut16", "lut256"] = "lut16"
    reorder_type: Literal["float32", "bfloat16", "int8", "none"] = "float32"
    reorder: Annotated[int, Ge(1)] = 100

    def repeats(self, n_threads: int) -> bool:
        """Return whether k-means starts at the first vectors and one thread adds up its means."""
        return n_threads == 1 and not self.random_init

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:
        """Refuse what ScaNN would answer by ending the process, or by ignoring it."""
        check_k("scann", k, n_base)
        check_idle("scann", self, self._idle())
        if self.reorder_type != "none":
            check_beam("scann", "reorder", self.reorder, k)
        if self.leaves:
            self._check_leaves(n_base)
        if self.soar_lambda and space == "l2":
            raise SettingError(
                f"scann spills items into a second leaf (soar_lambda = {self.soar_lambda}) by inner "
                'product only. Set soar_lambda = 0, or [search] space = "cosine" or "ip".'
            )
        if dim is not None and self.dims_per_block > dim:
            raise SettingError(
                f"scann has blocks of dims_per_block = {self.dims_per_block} but the vectors have "
                f"{dim} dimensions. Set dims_per_block to {dim} or less."
            )
        self._check_training(n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> ScannHandle:
        """Return ScaNN's searcher in a box."""
        scann = load("scann")
        measure = "squared_l2" if space == "l2" else "dot_product"
        builder = scann.scann_ops_pybind.builder(base, self.reorder, measure)
        builder.set_n_training_threads(n_threads)
        searcher = self._stages(builder).build()
        return ScannHandle(searcher=searcher, n_threads=n_threads)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the threads of a batch; ScaNN takes the other options with every call."""
        handle.n_threads = n_threads
        handle.searcher.set_num_threads(n_threads)

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(dim,)`` rows."""
        return list(queries)

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``search``, called by position, which is the fastest way."""
        search, (reorder, leaves) = handle.searcher.search, self._arguments()
        return lambda query: search(query, k, reorder, leaves)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``search_batched``, or its parallel form for several threads."""
        several = handle.n_threads > 1
        searcher = handle.searcher
        search = searcher.search_batched_parallel if several else searcher.search_batched
        reorder, leaves = self._arguments()
        return lambda queries: search(queries, k, reorder, leaves)

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return the ids; a batch marks missing results by id 0 with a distance of NaN."""
        ids, distances = raw
        if ids.ndim == 1:
            return padded([ids], k)
        found = np.asarray(ids, np.int64)
        return np.where(np.isnan(distances), NO_ITEM, found)

    def save(self, handle: Any, folder: Path) -> None:
        """Write ScaNN's own files, which name each other relative to the folder."""
        handle.searcher.serialize(str(folder), relative_path=True)

    def load(self, folder: Path, dim: int, space: Space) -> ScannHandle:  # noqa: ARG002
        """Return ScaNN's searcher of that folder in a box."""
        searcher = load("scann").scann_ops_pybind.load_searcher(str(folder))
        return ScannHandle(searcher=searcher, n_threads=1)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return codes, codebooks, centres and the vectors that are scored again."""
        kept = _BYTES.get(self.reorder_type, 0) * dim
        code, codebook = 4 * dim, 0
        if self.scoring == "ah":
            n_centroids = _CENTROIDS[self.hash_type]
            code = -(-dim // self.dims_per_block) * (n_centroids.bit_length() - 1) // 8
            codebook = 4 * dim * n_centroids
        copies = 2 if self.soar_lambda else 1
        items = n_base * (kept + copies * (code + (4 if self.leaves else 0)))
        return items + codebook + 4 * dim * self.leaves

    def _idle(self) -> dict[str, str]:
        """Return the options that do nothing here, with what each would need."""
        idle: dict[str, str] = {}
        if not self.leaves:
            idle |= dict.fromkeys(_TREE_OPTIONS, "leaves")
        if self.scoring != "ah":
            idle |= dict.fromkeys(_CODE_OPTIONS, 'scoring = "ah"')
        if not self.leaves and self.scoring != "ah":
            idle |= dict.fromkeys(_TRAINING_OPTIONS, 'leaves, or scoring = "ah"')
        if self.reorder_type == "none":
            idle |= {"reorder": "a reorder_type"}
        return idle

    def _arguments(self) -> tuple[int, int]:
        """Return what every call is given: candidates to score again, and leaves to search."""
        reorder = _UNSET if self.reorder_type == "none" else self.reorder
        return reorder, self.leaves_to_search if self.leaves else _UNSET

    def _stages(self, builder: Any) -> Any:
        reorder_types = {
            kind.name.lower(): kind for kind in load("scann.scann_ops.py.scann_builder").ReorderType
        }
        if self.leaves:
            builder.tree(
                num_leaves=self.leaves,
                num_leaves_to_search=self.leaves_to_search,
                training_sample_size=self.training_sample,
                min_partition_size=self.min_partition,
                training_iterations=self.training_iterations,
                spherical=self.spherical,
                quantize_centroids=self.quantize_centroids,
                random_init=self.random_init,
                soar_lambda=self.soar_lambda or None,
            )
        if self.scoring == "brute_force":
            builder.score_brute_force()
        else:
            builder.score_ah(
                dimensions_per_block=self.dims_per_block,
                anisotropic_quantization_threshold=self.anisotropic_threshold or float("nan"),
                training_sample_size=self.training_sample,
                training_iterations=self.training_iterations,
                hash_type=self.hash_type,
            )
        if self.reorder_type != "none":
            builder.reorder(self.reorder, quantize=reorder_types[self.reorder_type])
        return builder

    def _check_leaves(self, n_base: int | None) -> None:
        if self.leaves_to_search > self.leaves:
            raise SettingError(
                f"scann is to search leaves_to_search = {self.leaves_to_search} of leaves = "
                f"{self.leaves}. Set leaves_to_search to {self.leaves} or less."
            )
        if n_base is not None and self.leaves > n_base:
            raise SettingError(
                f"scann is to make leaves = {self.leaves} of a base of {n_base} items. "
                f"Set leaves to about {max(1, round(n_base**0.5))}."
            )

    def _check_training(self, n_base: int | None) -> None:
        n_centroids = _CENTROIDS[self.hash_type]
        if self.scoring == "ah" and n_base is not None and n_base < n_centroids:
            raise SettingError(
                f"scann trains {n_centroids} codes per block on a base of {n_base} items. "
                'Give more items, or set scoring = "brute_force".'
            )
