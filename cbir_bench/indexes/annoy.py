"""Annoy: a forest of random projection trees. Bernhardsson, https://github.com/spotify/annoy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from annotated_types import Ge, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_METRIC: Final[dict[str, str]] = {"cosine": "angular", "ip": "dot", "l2": "euclidean"}

_FILE: Final = "annoy.ann"


@INDEXES.register("annoy")
@dataclass(frozen=True, kw_only=True)
class AnnoyIndex:
    """Trees that split the base at random; it has no batch search, every query is one call.

    Attributes:
        trees: trees in the forest, at least 1; more give better candidates and a larger index.
        search_k: items inspected per query, at least k; 0 leaves it to the library: trees times k.
        seed: of the random splits; with the same number of build threads it gives the same forest.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"search_k"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"search_k"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("annoy",)
    EXACT: ClassVar[bool] = False

    trees: Annotated[int, Ge(1)] = 50
    search_k: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(1), Le(2**31 - 1)] = 1

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: every thread has a seed and trees of its own."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base, and fewer inspected items than results."""
        check_k("annoy", k, n_base)
        if 0 < self.search_k < k:
            raise SettingError(
                f"annoy is asked for {k} results but inspects search_k = {self.search_k} items. "
                f"Set search_k to {k} or more, or to 0 for trees times k."
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return an ``annoy.AnnoyIndex``."""
        handle = load("annoy").AnnoyIndex(base.shape[1], _METRIC[space])
        handle.set_seed(self.seed)
        for item, vector in enumerate(base):
            handle.add_item(item, vector.tolist())
        handle.build(self.trees, n_jobs=n_threads)
        return handle

    def configure(self, handle: Any, n_threads: int) -> None:
        """Do nothing: annoy takes ``search_k`` with every call and one thread per query."""

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return lists, which cost a third of what an array costs to pass."""
        rows: list[list[float]] = queries.tolist()
        return rows

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``get_nns_by_vector``, called by position: keywords cost 0.3 us."""
        search, search_k = handle.get_nns_by_vector, self.search_k or -1
        return lambda query: search(query, k, search_k)

    def batch(self, handle: Any, k: int) -> None:
        """Return None: annoy has no batch search."""

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return one row, padded where the trees led to fewer items."""
        return padded([raw], k)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file, which annoy maps from then on; its pages are read in at once."""
        handle.save(str(folder / _FILE), prefault=True)

    def load(self, folder: Path, dim: int, space: Space) -> Any:
        """Return an index that maps that file."""
        handle = load("annoy").AnnoyIndex(dim, _METRIC[space])
        handle.load(str(folder / _FILE), prefault=True)
        return handle

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: how many nodes the trees have is left to chance."""
