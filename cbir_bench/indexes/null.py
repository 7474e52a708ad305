"""An index that answers the same ids to everybody: what it costs is the harness's own cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cbir_bench.core.arrays import SPACES
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.checks import check_k

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space


@INDEXES.register("null")
@dataclass(frozen=True, kw_only=True)
class NullIndex:
    """Returns the first ``k`` items whatever is asked; a floor for quality and for time."""

    SPACES: ClassVar[frozenset[Space]] = frozenset(SPACES)
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset()
    EFFORT: ClassVar[frozenset[str]] = frozenset()
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    EXACT: ClassVar[bool] = False

    def repeats(self, n_threads: int) -> bool:  # noqa: ARG002
        """Return True: everybody gets the same ids."""
        return True

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:  # noqa: ARG002
        """Refuse ``k`` beyond the base."""
        check_k("null", k, n_base)

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:  # noqa: ARG002
        """Return None: nothing is kept."""
        return None

    def configure(self, handle: Any, n_threads: int) -> None:
        """Do nothing: there is no option."""

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return the rows."""
        return list(queries)

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:  # noqa: ARG002
        """Return a function that returns one and the same array."""
        ids = np.arange(k)
        return lambda _query: ids

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any]:  # noqa: ARG002
        """Return a function that returns the same ids for every row."""
        ids = np.arange(k)
        return lambda queries: np.broadcast_to(ids, (len(queries), k))

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return the ids as rows."""
        return np.array(raw, np.int64).reshape(-1, k)

    def save(self, handle: Any, folder: Path) -> None:
        """Write nothing: there is nothing to keep."""

    def load(self, folder: Path, dim: int, space: Space) -> Any:  # noqa: ARG002
        """Return None: nothing was kept."""
        return None

    def theoretical_bytes(self, n_base: int, dim: int) -> int:  # noqa: ARG002
        """Return 0."""
        return 0
