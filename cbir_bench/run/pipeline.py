"""One trial's way from queries to a ranking: search, unpack, leave the query out, re-rank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.ranking import Ranking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix
    from cbir_bench.core.index import Index
    from cbir_bench.core.reranker import Reranker, Search

_PREPARED_AT_ONCE: Final = 1024
"""Queries turned into a library's own form at a time (a list takes 8 times what an array does)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """What all trials of a build share.

    Attributes:
        base: ``(n_base, dim)``, what the index was built from.
        original: ``(n_base, dim)``, the same before the quantiser.
        queries: ``(n_queries, dim)``.
        self_ids: ``(n_queries,)`` each query's own row of the base or ``NO_ITEM``; None if no query
            is in the base.
    """

    base: Matrix
    original: Matrix
    queries: Matrix
    self_ids: Ids | None

    def __post_init__(self) -> None:
        """Check what several libraries do not: they read beyond the end of a query that is too short.

        Raises:
            InvalidArrayError: if queries and base have different numbers of dimensions.
        """
        if self.queries.shape[1:] != self.base.shape[1:]:
            raise InvalidArrayError(
                f"Queries have shape {self.queries.shape} and the base has {self.base.shape}. "
                "Embed both with one model."
            )

    def depth(self, k: int) -> int:
        """Return how many results to ask for: one more where the query may be among them."""
        return k if self.self_ids is None else k + 1

    def base_for(self, reranker: Reranker) -> Matrix:
        """Return the vectors that a re-ranker looks at."""
        return self.base if reranker.BASE == "indexed" else self.original


class SingleCalls(NamedTuple):
    """What the clock covers, and what it is called with."""

    answer: Callable[[Any], Any]
    prepared: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipeline:
    """Answers queries, given as rows of ``inputs.queries``, with ``(n_rows, k)`` ids.

    The index is configured beforehand; ``state`` is what the re-ranker's ``fit`` returned.
    """

    inputs: Inputs
    index: Index
    handle: Any
    reranker: Reranker
    state: Any
    k: int

    def rank_all(self) -> Ids:
        """Return the checked answer to every query.

        Raises:
            InvalidArrayError: if the index or the re-ranker answers nonsense.
        """
        rows = np.arange(len(self.inputs.queries))
        raw = self._checked(self._search(self.inputs.queries), self._depth)
        first = self._without_self(raw, rows)
        return self._checked(self._rerank(rows, first, self._search_for(rows)), self.k)

    def single_calls(self, rows: NDArray[np.int64]) -> SingleCalls:
        """Return what answers one query, and the queries of some rows in the form that it takes.

        Without a re-ranker it is the library's call alone; otherwise everything up to the final
        ranking, a second search included.
        """
        search = self.index.single(self.handle, self._depth)
        prepared = self.index.prepare(np.ascontiguousarray(self.inputs.queries[rows]))
        if self.reranker.MODE == "identity":
            return SingleCalls(search, prepared)

        def answer(query: tuple[NDArray[np.int64], Any]) -> Ids:
            row, asked = query
            first = self._without_self(self.index.unpack(search(asked), self._depth), row)
            return self._rerank(row, first, self._single_search_for(row, search))

        return SingleCalls(answer, list(zip(rows[:, None], prepared, strict=True)))

    def batch_call(self, rows: NDArray[np.int64]) -> Callable[[], Any] | None:
        """Return what answers some rows at once, or None if the library has no batch search."""
        search = self.index.batch(self.handle, self._depth)
        queries = np.ascontiguousarray(self.inputs.queries[rows])
        if search is None:
            return None
        if self.reranker.MODE == "identity":
            return partial(search, queries)

        def answer() -> Ids:
            first = self._without_self(self.index.unpack(search(queries), self._depth), rows)
            return self._rerank(rows, first, self._search_for(rows))

        return answer

    @property
    def _depth(self) -> int:
        return self.inputs.depth(self.reranker.depth(self.k))

    def _checked(self, ids: Ids, k: int) -> Ids:
        """Return the answer to all queries if it keeps what it promises."""
        wanted = (len(self.inputs.queries), k)
        if ids.shape != wanted:
            raise InvalidArrayError(
                f"The answer has shape {ids.shape} where {wanted[0]} queries ask for {k} results. "
                "Correct unpack() of the index, or rerank() of the re-ranker."
            )
        return Ranking(ids=ids, n_base=len(self.inputs.base)).ids

    def _search(self, queries: Matrix) -> Ids:
        return searched_by(self.index, self.handle, queries, self._depth)

    def _search_for(self, rows: NDArray[np.int64]) -> Search:
        """Return the live index for vectors that stand for the queries in ``rows``."""
        return lambda vectors: self._without_self(self._search(vectors), rows)

    def _single_search_for(self, row: NDArray[np.int64], search: Callable[[Any], Any]) -> Search:
        return lambda vectors: self._without_self(
            _search_singly(self.index, search, vectors, self._depth), row
        )

    def _rerank(self, rows: NDArray[np.int64], ids: Ids, search: Search) -> Ids:
        queries, base = self.inputs.queries[rows], self.inputs.base_for(self.reranker)
        return self.reranker.rerank(queries, base, ids, search, self.state, k=self.k)

    def _without_self(self, ids: Ids, rows: NDArray[np.int64]) -> Ids:
        if len(ids) != len(rows):
            raise InvalidArrayError(
                f"{len(ids)} rankings answer {len(rows)} queries. "
                "A re-ranker has to search again with one vector for each of its queries."
            )
        if self.inputs.self_ids is None:
            return ids
        return leave_out(ids, self.inputs.self_ids[rows])


def searched_by(index: Index, handle: Any, queries: Matrix, depth: int) -> Ids:
    """Return ``(n, depth)`` ids by the library's batch search, or one by one where it has none."""
    search = index.batch(handle, depth)
    if search is not None:
        return index.unpack(search(np.ascontiguousarray(queries)), depth)
    return _search_singly(index, index.single(handle, depth), queries, depth)


def _search_singly(index: Index, search: Callable[[Any], Any], queries: Matrix, depth: int) -> Ids:
    ids = np.empty((len(queries), depth), np.int64)
    for start in range(0, len(queries), _PREPARED_AT_ONCE):
        block = np.ascontiguousarray(queries[start : start + _PREPARED_AT_ONCE])
        for row, query in enumerate(index.prepare(block), start):
            ids[row] = index.unpack(search(query), depth)[0]
    return ids


def leave_out(ids: Ids, self_ids: Ids) -> Ids:
    """Return ``(n, k)`` ids: each row of ``(n, k + 1)`` without its query, or without its last id.

    The query is known by its id: with duplicates in the base it need not be the first result.

    Args:
        ids: ``(n, k + 1)`` results, none twice in a row.
        self_ids: ``(n,)`` each query's own id, or ``NO_ITEM`` where it is not in the base.
    """
    # A query outside the base matches padding at most, all of which is the same.
    found = ids == self_ids[:, None]
    place = np.where(found.any(axis=1), found.argmax(axis=1), ids.shape[1] - 1)
    keep = np.ones(ids.shape, bool)
    keep[np.arange(len(ids)), place] = False
    return ids[keep].reshape(len(ids), -1)
