"""nmslib's method vptree: vantage point trees with stretched pruning. Boytsov and Naidan, NIPS 2013."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from annotated_types import Ge, Gt, Le

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import nmslib_calls
from cbir_bench.indexes.checks import check_k

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.indexes.nmslib_calls import NmslibHandle

_SPACE: Final = "l2"
"""Also of unit rows: pruning needs a distance with a triangle inequality, which cosine's has not."""
_NO_LIMIT: Final = 2**31 - 1


@INDEXES.register("nmslib-vp-tree")
@dataclass(frozen=True, kw_only=True)
class NmslibVpTreeIndex:
    """Splits the base by the distance to a pivot, and prunes by the triangle inequality.

    With all stretches at 1 and no limit of leaves it is exact. Not in the space "ip", where the
    inequality does not hold.

    Attributes:
        bucket_size: items below which nothing is split any more, at least 1.
        pivot_attempts: pivots tried per split, at least 1; that of the widest distances is taken.
        chunk_bucket: whether the vectors of a bucket are copied side by side: faster, twice the memory.
        alpha_left: stretch of the pruning inside of a sphere, above 0; above 1 prunes more than is safe.
        alpha_right: the same outside.
        exp_left: exponent of the pruning inside, at least 1.
        exp_right: the same outside.
        max_leaves: buckets visited per query, at least 1; the default is more than there can be.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset(
        {"alpha_left", "alpha_right", "exp_left", "exp_right", "max_leaves"}
    )
    EFFORT: ClassVar[frozenset[str]] = frozenset({"max_leaves"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = False

    bucket_size: Annotated[int, Ge(1)] = 50
    pivot_attempts: Annotated[int, Ge(1)] = 5
    chunk_bucket: bool = True
    alpha_left: Annotated[float, Gt(0)] = 1.0
    alpha_right: Annotated[float, Gt(0)] = 1.0
    exp_left: Annotated[int, Ge(1)] = 1
    exp_right: Annotated[int, Ge(1)] = 1
    max_leaves: Annotated[int, Ge(1), Le(_NO_LIMIT)] = _NO_LIMIT

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: one thread builds, and draws the same pivots in every fresh process."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base."""
        check_k("nmslib-vp-tree", k, n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:  # noqa: ARG002
        """Return nmslib's index in a box; it is built by one thread whatever is allowed."""
        options = {
            "bucketSize": self.bucket_size,
            "selectPivotAttempts": self.pivot_attempts,
            "chunkBucket": int(self.chunk_bucket),
        }
        return nmslib_calls.built("vptree", _SPACE, base, options)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set the pruning, the limit and the threads of a batch."""
        options = {
            "alphaLeft": self.alpha_left,
            "alphaRight": self.alpha_right,
            "expLeft": self.exp_left,
            "expRight": self.exp_right,
            "maxLeavesToVisit": self.max_leaves,
        }
        nmslib_calls.configured(handle, n_threads, options)

    prepare = staticmethod(nmslib_calls.prepare)
    single = staticmethod(nmslib_calls.single)
    batch = staticmethod(nmslib_calls.batch)
    unpack = staticmethod(nmslib_calls.unpack)
    save = staticmethod(nmslib_calls.save)

    def load(self, folder: Path, dim: int, space: Space) -> NmslibHandle:  # noqa: ARG002
        """Return the index that was saved."""
        return nmslib_calls.loaded("vptree", _SPACE, folder)

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: how the base is split is left to the data."""
