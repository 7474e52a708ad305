"""Alpha-weighted query expansion. Radenovic, Tolias and Chum, TPAMI 2019, section 3.4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from annotated_types import Ge

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import RERANKERS

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Ids, Matrix, Space
    from cbir_bench.core.reranker import Mode, Search

_BLOCK: Final = 1024
"""Queries expanded at once, which bounds the memory of the gathered neighbours."""


@RERANKERS.register("alpha-qe")
@dataclass(frozen=True, kw_only=True)
class AlphaQueryExpansion:
    """Adds the top results to the query, each weighted by its similarity, and searches again.

    The new query is ``normalise(q + sum_i max(cos(q, d_i), 0) ** alpha * d_i)`` over the first ``n``
    results. Similarities are exact, computed from the base vectors, whatever the index returned.
    Negative ones count as 0, so that a fractional power of them never becomes NaN.

    Attributes:
        n: results that are added to the query, at least 1 and at most the ranking's k.
        alpha: power of the similarity, at least 0; 0 gives plain average query expansion.
    """

    MODE: ClassVar[Mode] = "requery"
    SCOPE: ClassVar[Literal["per_query", "joint"]] = "per_query"
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    BASE: ClassVar[Literal["indexed", "original"]] = "indexed"

    n: Annotated[int, Ge(1)] = 10
    alpha: Annotated[float, Ge(0)] = 3.0

    def depth(self, k: int) -> int:
        """Return ``k``."""
        return k

    def check(self, *, k: int, space: Space) -> None:
        """Refuse an ``n`` beyond the ranking, and spaces without an angle."""
        if self.n > k:
            raise SettingError(
                f"alpha-qe adds n = {self.n} results but the ranking has k = {k}. "
                f"Set n to {k} or less, or raise [search] k."
            )
        if space != "cosine":
            raise SettingError(
                f"alpha-qe weighs results by their cosine, but the space is {space!r}. "
                'Set [search] space = "cosine".'
            )

    def fit(self, base: Matrix, space: Space) -> Any:  # noqa: ARG002
        """Return None: nothing is done on the base."""
        return None

    def state_bytes(self, state: Any) -> int:  # noqa: ARG002
        """Return 0."""
        return 0

    def rerank(
        self,
        queries: Matrix,
        base: Matrix,
        ids: Ids,
        search: Search,
        state: Any,  # noqa: ARG002
        *,
        k: int,  # noqa: ARG002
    ) -> Ids:
        """Return the index's answer to the expanded queries."""
        return search(self.expand(queries, base, ids))

    def expand(self, queries: Matrix, base: Matrix, ids: Ids) -> Matrix:
        """Return the ``(n_queries, dim)`` expanded queries, of length 1.

        Args:
            queries: ``(n_queries, dim)`` of length 1.
            base: ``(n_base, dim)`` of length 1.
            ids: ``(n_queries, k)`` results, padded with ``NO_ITEM``; padding adds nothing.
        """
        expanded = np.empty_like(queries)
        for start in range(0, len(queries), _BLOCK):
            block = slice(start, start + _BLOCK)
            near = ids[block, : self.n]
            neighbours = base[near]
            cosines = np.matmul(neighbours, queries[block, :, None])[:, :, 0]
            weights = np.maximum(cosines, 0) ** np.float32(self.alpha)
            weights[near == NO_ITEM] = 0
            expanded[block] = queries[block] + np.matmul(weights[:, None, :], neighbours)[:, 0]
        return unit_rows(expanded)
