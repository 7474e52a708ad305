"""nmslib's method brute_force: compares the query with every vector."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import nmslib_calls
from cbir_bench.indexes.checks import check_k
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.indexes.nmslib_calls import NmslibHandle

_SPACE: Final[dict[str, str]] = {"cosine": "negdotprod", "ip": "negdotprod", "l2": "l2"}


@INDEXES.register("nmslib-brute-force")
@dataclass(frozen=True, kw_only=True)
class NmslibBruteForceIndex:
    """Exact, one pair of vectors at a time: what nmslib's other methods save.

    Attributes:
        copy_memory: whether the vectors are copied side by side: faster, twice the memory.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset()
    EFFORT: ClassVar[frozenset[str]] = frozenset()
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = True

    copy_memory: bool = True

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: nothing is left to chance."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base."""
        check_k("nmslib-brute-force", k, n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:  # noqa: ARG002
        """Return nmslib's index in a box."""
        options = {"copyMem": int(self.copy_memory)}
        return nmslib_calls.built("brute_force", _SPACE[space], base, options)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the threads of a batch."""
        handle.n_threads = n_threads

    prepare = staticmethod(nmslib_calls.prepare)
    single = staticmethod(nmslib_calls.single)
    batch = staticmethod(nmslib_calls.batch)
    unpack = staticmethod(nmslib_calls.unpack)

    def save(self, handle: Any, folder: Path) -> None:
        """Write the vectors; nmslib then says that this method has nothing else to write."""
        with suppress(RuntimeError):
            nmslib_calls.save(handle, folder)

    def load(self, folder: Path, dim: int, space: Space) -> NmslibHandle:  # noqa: ARG002
        """Return an index of the saved vectors, which is made anew: there is nothing to learn."""
        index = load("nmslib").init(method="brute_force", space=_SPACE[space])
        with suppress(RuntimeError):  # the vectors are read before nmslib says the same again
            index.loadIndex(str(folder / nmslib_calls.FILE), load_data=True)
        index.createIndex({"copyMem": int(self.copy_memory)})
        return nmslib_calls.NmslibHandle(index=index, n_threads=1)

    def theoretical_bytes(self, n_base: int, dim: int) -> int:
        """Return the vectors, each with nmslib's header and, in the file, its length."""
        return n_base * (4 * dim + nmslib_calls.OBJECT_BYTES + 8)
