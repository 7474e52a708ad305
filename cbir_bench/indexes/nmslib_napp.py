"""nmslib's method napp: items are listed under their nearest pivots. Tellez et al., Inf. Systems 2013."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from annotated_types import Ge

from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import nmslib_calls
from cbir_bench.indexes.checks import check_k

if TYPE_CHECKING:
    from pathlib import Path

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.indexes.nmslib_calls import NmslibHandle

_SPACE: Final[dict[str, str]] = {"cosine": "negdotprod", "ip": "negdotprod", "l2": "l2"}


@INDEXES.register("nmslib-napp")
@dataclass(frozen=True, kw_only=True)
class NmslibNappIndex:
    """Compares the query with the items that share enough of its nearest pivots.

    Attributes:
        n_pivots: items of the base drawn as pivots, at most the base's size.
        n_pivots_indexed: nearest pivots that an item is listed under, 1 to n_pivots.
        n_pivots_searched: nearest pivots of a query whose lists are read, 1 to n_pivots; more find more.
        min_times: pivots that an item shares with the query before it is compared, at least 1 and at
            most n_pivots_searched; fewer find more.
        chunk_size: items per part of the lists, at least 1: what one build thread takes at a time.
    """

    SPACES: ClassVar[frozenset[Space]] = frozenset({"cosine", "ip", "l2"})
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"n_pivots_searched", "min_times"})
    EFFORT: ClassVar[frozenset[str]] = frozenset({"n_pivots_searched"})
    REQUIRES: ClassVar[tuple[str, ...]] = ("nmslib",)
    EXACT: ClassVar[bool] = False

    n_pivots: Annotated[int, Ge(1)] = 512
    n_pivots_indexed: Annotated[int, Ge(1)] = 32
    n_pivots_searched: Annotated[int, Ge(1)] = 32
    min_times: Annotated[int, Ge(1)] = 2
    chunk_size: Annotated[int, Ge(1)] = 65_536

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: the same pivots are drawn in every fresh process, and no list knows another."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base, and pivots that are not there."""
        check_k("nmslib-napp", k, n_base)
        if n_base is not None and self.n_pivots > n_base:
            raise SettingError(
                f"nmslib-napp is to draw n_pivots = {self.n_pivots} of a base of {n_base} items. "
                f"Set n_pivots to {n_base} or less."
            )
        self._check_at_most("n_pivots_indexed", self.n_pivots_indexed, "n_pivots", self.n_pivots)
        self._check_at_most("n_pivots_searched", self.n_pivots_searched, "n_pivots", self.n_pivots)
        self._check_at_most(
            "min_times", self.min_times, "n_pivots_searched", self.n_pivots_searched
        )

    def build(self, base: Matrix, space: Space, n_threads: int) -> NmslibHandle:
        """Return nmslib's index in a box."""
        options = {
            "numPivot": self.n_pivots,
            "numPivotIndex": self.n_pivots_indexed,
            "chunkIndexSize": self.chunk_size,
            "indexThreadQty": n_threads,
        }
        return nmslib_calls.built("napp", _SPACE[space], base, options)

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set how many pivots are looked at and shared, and the threads of a batch."""
        options = {"numPrefixSearch": self.n_pivots_searched, "minTimes": self.min_times}
        nmslib_calls.configured(handle, n_threads, options)

    prepare = staticmethod(nmslib_calls.prepare)
    single = staticmethod(nmslib_calls.single)
    batch = staticmethod(nmslib_calls.batch)
    unpack = staticmethod(nmslib_calls.unpack)
    save = staticmethod(nmslib_calls.save)

    def load(self, folder: Path, dim: int, space: Space) -> NmslibHandle:  # noqa: ARG002
        """Return the index that was saved."""
        return nmslib_calls.loaded("napp", _SPACE[space], folder)

    def theoretical_bytes(self, n_base: int, dim: int) -> None:
        """Return None: nmslib saves its lists as text."""

    def _check_at_most(self, option: str, value: int, limit: str, most: int) -> None:
        if value > most:
            raise SettingError(
                f"nmslib-napp has {option} = {value} but {limit} = {most}. "
                f"Set {option} to {most} or less."
            )
