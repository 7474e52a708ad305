"""Voyager: small world graphs with 8-bit vectors. Spotify, https://github.com/spotify/voyager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_FILE: Final = "voyager.voy"
_STORAGE: Final[dict[str, str]] = {"float32": "Float32", "float8": "Float8", "e4m3": "E4M3"}
_ROWS_PER_COPY: Final = 65_536


@dataclass(kw_only=True, eq=False)
class VoyagerHandle:
    """Voyager's index, and the threads of a batch, which it wants to be told with every call."""

    index: Any
    n_threads: int


@INDEXES.register("voyager")
@dataclass(frozen=True, kw_only=True)
class VoyagerIndex:
    """A graph of ``m`` links per node. Where it finds fewer than k items it raises ``RecallError``.

    Attributes:
        storage: type of the stored vectors: "float32", "e4m3" (8-bit floating point), or "float8"
            (8-bit fixed point, for values within 1) in the space "cosine".
        m: links per node and level, 2 to 512; the lowest level has twice as many.
        ef_construction: candidates kept while a node is linked, at least 1.
        ef_search: candidates kept during a search, at least k; the dial between speed and recall.
        seed: of the random levels; with one build thread the same seed gives the same graph.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("voyager",)
    EXACT: ClassVar[bool] = False

    storage: Literal["float32", "e4m3", "float8"] = "float32"
    m: Annotated[int, Ge(2), Le(512)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64
    seed: Annotated[int, Ge(0)] = 1

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam, and fixed point for vectors beyond 1."""
        check_k("voyager", k, n_base)
        check_beam("voyager", "ef_search", self.ef_search, k)
        if self.storage == "float8" and space != "cosine":
            raise SettingError(
                f'voyager has storage = "float8", which holds values within 1, in the space '
                f'"{space}". Set storage = "e4m3", or [search] space = "cosine".'
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> VoyagerHandle:
        """Return Voyager's index in a box; it takes writable rows only, so parts of the base are copied."""
        voyager = load("voyager")
        index = voyager.Index(
            _space(space),
            base.shape[1],
            M=self.m,
            ef_construction=self.ef_construction,
            random_seed=self.seed,
            max_elements=len(base),
            storage_data_type=self._type(),
        )
        for start in range(0, len(base), _ROWS_PER_COPY):
            index.add_items(_writable(base[start : start + _ROWS_PER_COPY]), num_threads=n_threads)
        return VoyagerHandle(index=index, n_threads=n_threads)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the threads of a batch; Voyager takes the beam with every call."""
        handle.n_threads = n_threads

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(dim,)`` rows, which cost a tenth less to pass than ``(1, dim)`` views."""
        return list(_writable(queries))

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``query``, called by position."""
        search, beam = handle.index.query, self.ef_search
        return lambda query: search(query, k, 1, beam)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return ``query``, which takes a matrix, too."""
        search, n_threads, beam = handle.index.query, handle.n_threads, self.ef_search
        return lambda queries: search(_writable(queries), k, n_threads, beam)

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return the ids, which are rows of the base."""
        ids, _ = raw
        return np.asarray(ids).astype(np.int64).reshape(-1, k)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file."""
        handle.index.save(str(folder / _FILE))

    def load(self, folder: Path, dim: int, space: Space) -> VoyagerHandle:
        """Return the index in that file."""
        path = str(folder / _FILE)
        index = load("voyager").Index.load(path, _space(space), dim, self._type())
        return VoyagerHandle(index=index, n_threads=1)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors, ids and links; a node has 1 / (m - 1) upper levels on average.

        In the space "ip" a vector has one more value, which makes all of them equally long.
        """
        vector = 4 * dim if self.storage == "float32" else dim
        lowest = 4 * (2 * self.m + 1)
        upper = 4 * (self.m + 1) / (self.m - 1)
        return round(n_base * (vector + 8 + lowest + upper + 4))

    def _type(self) -> Any:
        return getattr(load("voyager").StorageDataType, _STORAGE[self.storage])


def _space(space: Space) -> Any:
    """Return Voyager's space."""
    spaces = load("voyager").Space
    kinds = {"cosine": spaces.Cosine, "ip": spaces.InnerProduct, "l2": spaces.Euclidean}
    return kinds[space]


def _writable(rows: Matrix) -> Matrix:
    """Return rows that lie side by side, copied if they do not or are mapped read-only.

    Voyager reads others wrongly, or refuses them.
    """
    writable: Matrix = np.require(rows, requirements=["C", "W"])
    return writable
