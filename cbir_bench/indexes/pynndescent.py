"""PyNNDescent: a k-NN graph by neighbours of neighbours. Dong et al., WWW 2011; McInnes' library."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge, Gt, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_FILE: Final = "pynndescent.pickle"
_METRIC: Final[dict[str, str]] = {"cosine": "dot", "l2": "euclidean"}


@INDEXES.register("pynndescent")
@dataclass(frozen=True, kw_only=True)
class PynndescentIndex:
    """Improves a graph of nearest neighbours until it is settled, thins it out and walks on it.

    Its inner product is for unit rows: the one for others compiles itself anew with every build, so
    the space "ip" is left out. Its batch search uses one thread: the other one slows single queries.

    Attributes:
        n_neighbors: neighbours of each item in the graph, at least 2 and less than the base's size.
        n_trees: random projection trees that the graph starts from; 0 lets the library choose.
        leaf_size: items per leaf of those trees; 0 takes five times n_neighbors, at most 256.
        n_iterations: rounds of improvement at most; 0 lets the library choose.
        max_candidates: neighbours of neighbours looked at per item and round; 0 lets it choose.
        delta: share of changed links below which it stops early, 0 to 1.
        pruning_degree_multiplier: links per node that are kept, in multiples of n_neighbors, above 0.
        diversify_prob: how many of the links that a detour replaces are cut, 0 none to 1 all.
        low_memory: whether the build keeps less at hand, which takes longer.
        epsilon: how much farther than the k-th best a node may lie and still be followed, at least 0;
            the dial between speed and recall.
        seed: of the trees and of the rounds.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"epsilon"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"epsilon"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("pynndescent",)
    EXACT: ClassVar[bool] = False

    n_neighbors: Annotated[int, Ge(2)] = 30
    n_trees: Annotated[int, Ge(0)] = 0
    leaf_size: Annotated[int, Ge(0)] = 0
    n_iterations: Annotated[int, Ge(0)] = 0
    max_candidates: Annotated[int, Ge(0)] = 0
    delta: Annotated[float, Ge(0), Le(1)] = 0.001
    pruning_degree_multiplier: Annotated[float, Gt(0)] = 1.5
    diversify_prob: Annotated[float, Ge(0), Le(1)] = 1.0
    low_memory: bool = True
    epsilon: Annotated[float, Ge(0)] = 0.1
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 1

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several improve the graph in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base, and more neighbours than an item can have."""
        check_k("pynndescent", k, n_base)
        if n_base is not None and self.n_neighbors >= n_base:
            raise SettingError(
                f"pynndescent is to find n_neighbors = {self.n_neighbors} of each item in a base of "
                f"{n_base} items. Give more items, or set n_neighbors below {n_base}."
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return a ``pynndescent.NNDescent`` that is ready to be searched."""
        handle = load("pynndescent").NNDescent(
            base,
            metric=_METRIC[space],
            n_neighbors=self.n_neighbors,
            n_trees=self.n_trees or None,
            leaf_size=self.leaf_size or None,
            n_iters=self.n_iterations or None,
            max_candidates=self.max_candidates or None,
            delta=self.delta,
            pruning_degree_multiplier=self.pruning_degree_multiplier,
            diversify_prob=self.diversify_prob,
            low_memory=self.low_memory,
            random_state=self.seed,
            n_jobs=n_threads,
            compressed=True,
        )
        handle.prepare()
        return handle

    def configure(self, handle: Any, n_threads: int) -> None:
        """Do nothing: the library takes epsilon with every call, and one thread per query."""

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views, the only form that the library takes."""
        return list(queries[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``query``, called by position, without distances and without another normalisation."""
        search, epsilon, is_unit = handle.query, self.epsilon, handle.metric == "dot"
        return lambda query: search(query, k, epsilon, None, None, None, False, is_unit)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``query``, which takes a matrix, too."""
        return self.single(handle, k)

    def unpack(self, raw: Any, k: int) -> Ids:  # noqa: ARG002
        """Return the ids; the library marks what it did not find by -1, as ``NO_ITEM`` does."""
        return np.asarray(raw, np.int64)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file, by pickling: the library has no format of its own."""
        with (folder / _FILE).open("wb") as file:
            pickle.dump(handle, file, protocol=pickle.HIGHEST_PROTOCOL)

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return the index in that file, which has to be one's own: a pickle may run anything."""
        load("pynndescent")
        with (folder / _FILE).open("rb") as file:
            return pickle.load(file)  # noqa: S301

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: how many links are left after thinning out depends on the data."""
