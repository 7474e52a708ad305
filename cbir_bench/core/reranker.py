"""The border of the stage ``rerank``: a second look at a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.core.arrays import Ids, Matrix, Space

Search: TypeAlias = "Callable[[Matrix], Ids]"
"""Asks the live index again: ``(n, dim)`` queries to ``(n, k)`` ids, each query's own item left out."""
Mode: TypeAlias = Literal["identity", "requery", "permute", "expand"]


class Reranker(Protocol):
    """A frozen dataclass of options, registered in ``RERANKERS``."""

    MODE: ClassVar[Mode]
    """identity, requery (searches again), permute (reorders what was found), expand (may add items)."""
    SCOPE: ClassVar[Literal["per_query", "joint"]]
    """Whether the answer to a query depends on the other queries."""
    REQUIRES: ClassVar[tuple[str, ...]]
    BASE: ClassVar[Literal["indexed", "original"]]
    """Which base vectors it is given: those that the index was built from, or those before the quantiser."""

    def depth(self, k: int) -> int:
        """Return how many results of the first search it wants in order to answer with ``k``."""
        ...

    def check(self, *, k: int, space: Space) -> None:
        """Refuse options that cannot work with rankings of ``k`` results (SettingError)."""
        ...

    def fit(self, base: Matrix, space: Space) -> Any:
        """Return base-side state, made once per build, timed and sized apart."""
        ...

    def state_bytes(self, state: Any) -> int:
        """Return what the state takes in memory."""
        ...

    def rerank(
        self, queries: Matrix, base: Matrix, ids: Ids, search: Search, state: Any, *, k: int
    ) -> Ids:
        """Return ``(n_queries, k)`` ids in their new order, never the query itself.

        Args:
            queries: ``(n_queries, dim)``; of length 1 in the space "cosine".
            base: ``(n_base, dim)``, as ``BASE`` says.
            ids: ``(n_queries, depth(k))`` the first answer, the query itself already left out, tail padded
                with ``NO_ITEM``.
            search: the live index, asked for ``depth(k)`` results.
            state: what ``fit`` returned.
            k: how many results to answer with.
        """
        ...
