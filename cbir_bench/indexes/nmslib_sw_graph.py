"""nmslib's method sw-graph: navigable small world graphs. Malkov et al., Information Systems 2014."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import nmslib_calls
from cbir_bench.indexes.checks import check_beam, check_build_beam, check_k

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.indexes.nmslib_calls import NmslibHandle

_SPACE: Final[dict[str, str]] = {"cosine": "negdotprod", "ip": "negdotprod", "l2": "l2"}


@INDEXES.register("nmslib-sw-graph")
@dataclass(frozen=True, kw_only=True)
class NmslibSwGraphIndex:
    """One level, in which every new node is linked both ways with the nearest that are there.

    Attributes:
        nn: links that a new node makes, at least 1; later ones may add as many as they like to it.
        ef_construction: candidates kept while a node is linked, at least nn.
        ef_search: candidates kept during a search, at least k; the dial between speed and recall.
        algorithm: how candidates are kept: "old" two heaps, "v1merge" one sorted array.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"ef_search", "algorithm"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"ef_search"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = False

    nn: Annotated[int, Ge(1)] = 16
    ef_construction: Annotated[int, Ge(1)] = 200
    ef_search: Annotated[int, Ge(1)] = 64
    algorithm: Literal["v1merge", "old"] = "v1merge"

    def repeats(self, n_threads: int) -> bool:
        """Return whether one thread builds: several link the nodes in an order of their own."""
        return n_threads == 1

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base or the beam, and a build beam narrower than the links."""
        check_k("nmslib-sw-graph", k, n_base)
        check_beam("nmslib-sw-graph", "ef_search", self.ef_search, k)
        check_build_beam("nmslib-sw-graph", self.ef_construction, "nn", self.nn)

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:
        """Return nmslib's index in a box."""
        options = {
            "NN": self.nn,
            "efConstruction": self.ef_construction,
            "indexThreadQty": n_threads,
        }
        return nmslib_calls.built("sw-graph", _SPACE[space], base, options)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the beam, the algorithm and the threads of a batch."""
        options = {"efSearch": self.ef_search, "algoType": self.algorithm}
        nmslib_calls.configured(handle, n_threads, options)

    prepare = staticmethod(nmslib_calls.prepare)
    single = staticmethod(nmslib_calls.single)
    batch = staticmethod(nmslib_calls.batch)
    unpack = staticmethod(nmslib_calls.unpack)

    def save(self, handle: Any, folder: Path) -> None:
        """Write the links and the vectors."""
        nmslib_calls.save(handle, folder)
        _keep_entry(folder / nmslib_calls.FILE)

    def load(self, folder: Path, dim: int, space: Space) -> NmslibHandle:  # noqa: ARG002
        """Return the index that was saved."""
        return nmslib_calls.loaded("sw-graph", _SPACE[space], folder)

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: how many links other nodes add to one is left to the data."""


def _keep_entry(path: Path) -> None:
    """Move the first item to the end of the saved nodes.

    nmslib starts its searches from the item that was added first, or, in a loaded index, from the
    first of a hash map, which is the node that was read last. So that both search alike, the one has
    to be the other.
    """
    head, *lines = path.read_bytes().split(b"\n")
    entry = next(line for line in lines if line.startswith(b"0:"))
    lines.remove(entry)
    lines.insert(lines.index(b""), entry)
    path.write_bytes(b"\n".join([head, *lines]))
