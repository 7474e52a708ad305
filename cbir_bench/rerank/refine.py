"""Exact second look at the candidates of a coarse search. Jegou, Tavenard, Douze and Amsaleg, ICASSP 2011."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
from annotated_types import Ge

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.core.registry import RERANKERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix, Space
    from cbir_bench.core.reranker import Mode, Search

_LARGEST_LEVEL: Final = 127
_LARGEST_HALF: Final = float(np.finfo(np.float16).max)
_SIGN_AND_REST: Final = np.int32(-0x70002000)
"""Bit 31 and bits 13 to 27: where a half's bits belong in float32."""
_EXPONENTS_APART: Final = np.float32(2.0**112)


class SecondStore(NamedTuple):
    """What the second look reads; ``value = number * step`` where steps are kept.

    Attributes:
        numbers: ``(n_base, dim)`` float32, float16 or int8.
        step: ``(dim,)`` float32 for int8; None otherwise.
        space: how candidates are compared.
    """

    numbers: NDArray[Any]
    step: NDArray[np.float32] | None
    space: Space


@RERANKERS.register("refine")
@dataclass(frozen=True, kw_only=True)
class Refine:
    """Asks the index for ``n`` candidates and orders them by the vectors from before the quantiser.

    Behind the quantizer "binary" it is known as rescoring. Candidates that are equally similar are
    ordered by their id. In the space "cosine" it is the inner product that is compared: vectors have
    length 1 before they are stored.

    Attributes:
        n: candidates, at least the k of the ranking.
        store: what the second look keeps of each vector: "float32", "float16", or "int8" with one step
            per dimension. Its bytes count in ``prepare_bytes``.
    """

    MODE: ClassVar[Mode] = "permute"
    SCOPE: ClassVar[Literal["per_query", "joint"]] = "per_query"
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    BASE: ClassVar[Literal["indexed", "original"]] = "original"

    n: Annotated[int, Ge(1)] = 100
    store: Literal["float32", "float16", "int8"] = "float32"

    def depth(self, k: int) -> int:
        """Return ``n``, or ``k`` where that is more."""
        return max(k, self.n)

    def check(self, *, k: int, space: Space) -> None:  # noqa: ARG002
        """Refuse an ``n`` below ``k``: every such value would measure the same."""
        if self.n < k:
            raise SettingError(
                f"refine looks at n = {self.n} candidates but the ranking has k = {k}. "
                f"Set n to {k} or more."
            )

    def fit(self, base: Matrix, space: Space) -> SecondStore:
        """Return the second store; float32 vectors are kept where they lie.

        Raises:
            InvalidArrayError: if a value is too large for float16.
        """
        if self.store == "float32":
            return SecondStore(base, None, space)
        largest = np.abs(base).max(axis=0)
        if self.store == "float16":
            _check_half(float(largest.max()))
            return SecondStore(base.astype(np.float16), None, space)
        # A dimension that is 0 everywhere needs no step; any will do.
        step = np.where(largest > 0, largest / np.float32(_LARGEST_LEVEL), np.float32(1))
        return SecondStore(np.rint(base / step).astype(np.int8), step, space)

    def state_bytes(self, state: SecondStore) -> int:
        """Return the bytes of all numbers, and of the steps."""
        return state.numbers.nbytes + (0 if state.step is None else state.step.nbytes)

    def rerank(
        self,
        queries: Matrix,
        base: Matrix,  # noqa: ARG002
        ids: Ids,
        search: Search,  # noqa: ARG002
        state: SecondStore,
        *,
        k: int,
    ) -> Ids:
        """Return the ``k`` candidates that are most similar, query by query."""
        answer = np.full((len(queries), k), NO_ITEM, np.int64)
        for row, query, found in zip(answer, queries, ids, strict=True):
            best = _most_similar(state, query, found, k)
            row[: len(best)] = best
        return answer


def _most_similar(state: SecondStore, query: NDArray[np.float32], found: Ids, k: int) -> Ids:
    candidates = np.sort(found)  # by id, so that a stable order settles ties, and reads go forward
    if candidates[0] == NO_ITEM:
        candidates = candidates[candidates != NO_ITEM]
    # The row of a candidate is multiplied alone, as it were: in a matrix product the last bit would
    # depend on where the row stands, and duplicates would not be equally similar.
    similarity = _similarity(state, query, state.numbers.take(candidates, axis=0))
    best: Ids = candidates[np.argsort(-similarity, kind="stable")[:k]]
    return best


def _similarity(
    state: SecondStore, query: NDArray[np.float32], near: NDArray[Any]
) -> NDArray[np.float32]:
    """Return ``(n_candidates,)``, higher is better."""
    values = _from_half(near) if near.dtype == np.float16 else near.astype(np.float32, copy=False)
    if state.space != "l2":
        asked = query if state.step is None else query * state.step
        products: NDArray[np.float32] = np.einsum("ij,j->i", values, asked)
        return products
    apart = (values if state.step is None else values * state.step) - query
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", apart, apart)
    return -squares


def _from_half(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the same finite values; NumPy converts them one by one, which takes five times as long."""
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_REST
    values: NDArray[np.float32] = bits.view(np.float32)
    values *= _EXPONENTS_APART
    return values


def _check_half(largest: float) -> None:
    if largest > _LARGEST_HALF:
        raise InvalidArrayError(
            f"The vectors hold the value {largest:g}, but float16 ends at {_LARGEST_HALF:g}. "
            'Set the store of refine to "int8" or "float32".'
        )
