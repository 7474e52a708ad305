"""No re-ranking: the index's own answer, which every re-ranker is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cbir_bench.core.registry import RERANKERS

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Ids, Matrix, Space
    from cbir_bench.core.reranker import Mode, Search


@RERANKERS.register("none")
@dataclass(frozen=True, kw_only=True)
class NoReranking:
    """Returns the first answer as it is; the clock then covers the library's call alone."""

    MODE: ClassVar[Mode] = "identity"
    SCOPE: ClassVar[Literal["per_query", "joint"]] = "per_query"
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    BASE: ClassVar[Literal["indexed", "original"]] = "indexed"

    def depth(self, k: int) -> int:
        """Return ``k``."""
        return k

    def check(self, *, k: int, space: Space) -> None:
        """Accept everything."""

    def fit(self, base: Matrix, space: Space) -> Any:  # noqa: ARG002
        """Return None: there is no state."""
        return None

    def state_bytes(self, state: Any) -> int:  # noqa: ARG002
        """Return 0."""
        return 0

    def rerank(
        self,
        queries: Matrix,  # noqa: ARG002
        base: Matrix,  # noqa: ARG002
        ids: Ids,
        search: Search,  # noqa: ARG002
        state: Any,  # noqa: ARG002
        *,
        k: int,  # noqa: ARG002
    ) -> Ids:
        """Return ``ids``."""
        return ids
