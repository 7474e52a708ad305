"""USearch: small world graphs over vectors of several types. Vardanian, https://github.com/unum-cloud/USearch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_beam, check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space

_FILE: Final = "usearch.bin"
_BYTES: Final[dict[str, int]] = {"f32": 4, "bf16": 2, "f16": 2, "i8": 1}


@dataclass(kw_only=True, eq=False)
class UsearchHandle:
    """USearch's index, and the threads of a batch, which it wants to be told with every call."""

    index: Any
    n_threads: int


@INDEXES.register("usearch")
@dataclass(frozen=True, kw_only=True)
class UsearchIndex:
    """A graph of ``m`` links per node; its levels are drawn by a fixed seed.

    Attributes:
        storage: type of the stored vectors: "f32", "bf16", "f16", or "i8" in the space "cosine".
        m: links per node and level, 2 to 512; the lowest level has twice as many.
        ef_construction: candidates kept while a node is linked, at least 1.
        ef_search: candidates kept during a search, at least k; the dial between speed and recall.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("usearch",)
    EXACT: ClassVar[bool] = False

    storage: Literal["f32", "bf16", "f16", "i8"] = "f32"
    m: Annotated[int, Ge(2), Le(512)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam, and bytes for vectors that are not scaled to them."""
        check_k("usearch", k, n_base)
        check_beam("usearch", "ef_search", self.ef_search, k)
        if self.storage == "i8" and space != "cosine":
            raise SettingError(
                f'usearch has storage = "i8", which scales every vector to length 1, in the space '
                f'"{space}". Set storage = "f16", or [search] space = "cosine".'
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> UsearchHandle:
        """Return USearch's index in a box."""
        index = self._empty(base.shape[1], space)
        index.add(
            np.arange(len(base), dtype=np.uint64), np.ascontiguousarray(base), threads=n_threads
        )
        return UsearchHandle(index=index, n_threads=n_threads)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the beam and the threads of a batch."""
        handle.index.expansion_search = self.ef_search
        handle.n_threads = n_threads

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return ``(1, dim)`` views, which the library would make of rows."""
        return list(np.ascontiguousarray(queries)[:, None, :])

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return the compiled search: the Python code around it costs 5 us and looks at nothing else."""
        search = handle.index._compiled.search_many  # noqa: SLF001
        return lambda query: search(query, k, False, 1)

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:
        """Return the same search with several threads."""
        search, n_threads = handle.index._compiled.search_many, handle.n_threads  # noqa: SLF001
        return lambda queries: search(np.ascontiguousarray(queries), k, False, n_threads)

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return the keys, as many of each row as the library says it found."""
        keys, _, n_found, *_ = raw
        found = np.arange(k) < np.asarray(n_found)[:, None]
        return np.where(found, np.asarray(keys).astype(np.int64), NO_ITEM)

    def save(self, handle: Any, folder: Path) -> None:
        """Write one file."""
        handle.index.save(str(folder / _FILE))

    def load(self, folder: Path, dim: int, space: Space) -> UsearchHandle:
        """Return the index in that file."""
        index = self._empty(dim, space)
        index.load(str(folder / _FILE))
        return UsearchHandle(index=index, n_threads=1)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return vectors, keys and levels, and links; a node has 1 / (m - 1) upper levels on average."""
        lowest = 4 * (2 * self.m + 1)
        upper = 4 * (self.m + 1) / (self.m - 1)
        return round(n_base * (_BYTES[self.storage] * dim + 8 + 2 + lowest + upper))

    def _empty(self, dim: int, space: Space) -> Any:
        # Unit rows have the same order by inner product, but bytes are scaled for "cos" only.
        product = "cos" if self.storage == "i8" else "ip"
        return load("usearch.index").Index(
            ndim=dim,
            metric="l2sq" if space == "l2" else product,
            dtype=self.storage,
            connectivity=self.m,
            expansion_add=self.ef_construction,
            expansion_search=self.ef_search,
            enable_key_lookups=False,
        )
