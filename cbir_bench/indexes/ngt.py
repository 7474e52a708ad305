"""NGT: a neighbourhood graph entered by a tree (ANNG, ONNG). Iwasaki and Miyazaki, arXiv 1810.07355."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge, Gt

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cbir_bench.core.arrays import Ids, Matrix, Space

_NO_ACCURACY: Final = -3.4028234663852886e38
"""NGT's mark for: search by epsilon, not by an expected accuracy."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NgtHandle:
    """NGT's index, and the path that it was opened at, which is where it saves itself to."""

    index: Any
    path: Path


@INDEXES.register("ngt")
@dataclass(frozen=True, kw_only=True)
class NgtIndex:
    """A graph to which items are added one after the other; with ``outgoing`` it is cut to an ONNG.

    It has no batch search here: the library's own needs its settings changed behind a search's back.

    Attributes:
        storage: type of the stored vectors: "float32" or "float16".
        creation_edges: links that a new node makes, at least 1; later ones add theirs to it.
        outgoing: links per node that an ONNG keeps; 0 leaves the graph as it grew (ANNG).
        incoming: links to each node that an ONNG adds, 0 together with outgoing.
        epsilon: how much farther than the k-th best a node may lie and still be followed, above -1;
            the dial between speed and recall.
        search_edges: links looked at per node, at least 1.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"epsilon", "search_edges"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"epsilon", "search_edges"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("ngtpy",)
    EXACT: ClassVar[bool] = False

    storage: Literal["float32", "float16"] = "float32"
    creation_edges: Annotated[int, Ge(1)] = 10
    outgoing: Annotated[int, Ge(0)] = 0
    incoming: Annotated[int, Ge(0)] = 0
    epsilon: Annotated[float, Gt(-1)] = 0.1
    search_edges: Annotated[int, Ge(1)] = 40

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base, and half an ONNG."""
        check_k("ngt", k, n_base)
        if bool(self.outgoing) != bool(self.incoming):
            raise SettingError(
                f"ngt has outgoing = {self.outgoing} and incoming = {self.incoming}, of which an ONNG "
                "needs both. Set both above 0, or both to 0."
            )

    def build(self, base: Matrix, space: Space, n_threads: int) -> NgtHandle:
        """Return NGT's index in a box: it starts from files, but is then held in memory alone.

        It reads rows that lie apart in memory wrongly.
        """
        ngtpy = load("ngtpy")
        with TemporaryDirectory() as name:
            path = Path(name) / "anng"
            self._create(str(path), base.shape[1], space)
            index = ngtpy.Index(str(path), log_disabled=True)
            index.batch_insert(np.ascontiguousarray(base), num_threads=n_threads)
            if self.outgoing:
                index.save()
                path = self._cut(path)
                index = ngtpy.Index(str(path), log_disabled=True)
            return NgtHandle(index=index, path=path)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Do nothing: NGT takes its options with every call, and one thread per query."""

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return lists, which cost 2 us less to pass than arrays."""
        rows: list[list[float]] = queries.tolist()
        return rows

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return ``search``, called by position, without distances."""
        search, epsilon, edges = handle.index.search, self.epsilon, self.search_edges
        return lambda query: search(query, k, epsilon, edges, _NO_ACCURACY, False)

    def batch(self, handle: Any, k: int) -> None:
        """Return None: a batch would be searched with the options of the last ``set``."""

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return one row, padded where the graph led to fewer items."""
        return padded([raw], k)

    def save(self, handle: Any, folder: Path) -> None:
        """Write NGT's files, which it writes to where it was opened."""
        handle.path.mkdir(parents=True)
        try:
            handle.index.save()
            shutil.copytree(handle.path, folder, dirs_exist_ok=True)
        finally:
            shutil.rmtree(handle.path.parent)

    def load(self, folder: Path, dim: int, space: Space) -> NgtHandle:  # noqa: ARG002
        """Return the index in those files, which are never changed."""
        index = load("ngtpy").Index(str(folder), read_only=True, log_disabled=True)
        return NgtHandle(index=index, path=folder)

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: how many links other nodes add to one is left to the data."""

    def _create(self, path: str, dim: int, space: Space) -> None:
        """Write an empty index; unit rows have the same order by Euclidean distance, its best kind."""
        load("ngtpy").create(
            path,
            dimension=dim,
            edge_size_for_creation=self.creation_edges,
            edge_size_for_search=self.search_edges,
            distance_type="Inner Product" if space == "ip" else "L2",
            object_type="Float16" if self.storage == "float16" else "Float",
        )

    def _cut(self, path: Path) -> Path:
        """Return the path of an ONNG made of the saved ANNG."""
        optimizer = load("ngtpy").Optimizer(
            num_of_outgoings=self.outgoing, num_of_incomings=self.incoming, log_disabled=True
        )
        optimizer.set_processing_modes(
            shortcut_reduction=True,
            search_parameter_optimization=False,
            prefetch_parameter_optimization=False,
            accuracy_table_generation=False,
        )
        optimizer.execute(str(path), str(path.parent / "onng"))
        return path.parent / "onng"
