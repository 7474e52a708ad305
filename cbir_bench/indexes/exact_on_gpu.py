"""Exact search on a GPU through torch, in full float32; imported only where a device is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import MissingPackageError
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids, Matrix

_BLOCK_BYTES: Final = 256 * 2**20
"""Memory of one block of similarities on the device; selecting from it takes about twice as much."""
_QUERIES_PER_BLOCK: Final = 1024
_KEPT_PER_RESULT: Final = 8
"""Candidates per result that may pile up before those that have lost are dropped."""


def has_gpu(*, required: bool) -> bool:
    """Return whether torch finds a GPU; without torch there is none, unless one is ``required``.

    Raises:
        MissingPackageError: if a GPU is required and torch is not installed.
    """
    try:
        found: bool = load("torch").cuda.is_available()
    except MissingPackageError:
        if required:
            raise
        return False
    return found


@dataclass(kw_only=True, eq=False)
class DeviceHandle:
    """The base in a device's memory, as tensors; ``ExactHandle`` says what they are.

    Attributes:
        vectors: ``(n_base, dim)`` float32.
        centre: ``(dim,)``, or None.
        penalty: ``(n_base,)``, or None.
        n_threads: has no meaning here; threads do not search.
    """

    vectors: Any
    centre: Any = None
    penalty: Any = None
    n_threads: int = 1

    def __post_init__(self) -> None:
        # TensorFloat-32 keeps 10 bits of the 23, which is no exact search.
        load("torch").set_float32_matmul_precision("highest")

    def search(self, queries: Matrix, k: int) -> Ids:
        """Return the ``(n_queries, k)`` nearest ids; equal similarities by ascending id."""
        step = _QUERIES_PER_BLOCK
        blocks = [queries[start : start + step] for start in range(0, len(queries), step)]
        return np.concatenate([self._search_block(block, k) for block in blocks])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays that there are, by their names, in the memory of the CPU."""
        named = {"vectors": self.vectors, "centre": self.centre, "penalty": self.penalty}
        return {name: a.cpu().numpy() for name, a in named.items() if a is not None}

    def _search_block(self, queries: Matrix, k: int) -> Ids:
        torch = load("torch")
        moved = torch.as_tensor(np.array(queries), device=self.vectors.device)
        if self.centre is not None:
            moved = moved - self.centre
        step = max(k, _BLOCK_BYTES // (4 * len(queries)))
        bound = torch.full((len(queries), 1), -torch.inf, device=moved.device)
        found: list[Any] = []
        for start in range(0, len(self.vectors), step):
            similarities = self._similarities(moved, slice(start, start + step))
            bound = torch.maximum(bound, _kth_largest(similarities, k))
            rows, columns = torch.nonzero(similarities >= bound, as_tuple=True)
            found.append((rows, columns + start, similarities[rows, columns]))
            if sum(len(part[0]) for part in found) > _KEPT_PER_RESULT * k * len(queries):
                found = [_best(found, len(queries), k)]
        ids: Ids = _best(found, len(queries), k)[1].reshape(-1, k).cpu().numpy()
        return ids

    def _similarities(self, queries: Any, part: slice) -> Any:
        similarities = queries @ self.vectors[part].T
        if self.penalty is not None:
            similarities -= self.penalty[part]
        return similarities


def moved(arrays: Mapping[str, NDArray[np.float32]], device: str) -> DeviceHandle:
    """Return a copy of a handle's arrays in the memory of a torch device ("cuda"; tests use "cpu")."""
    torch = load("torch")
    return DeviceHandle(**{name: torch.tensor(a, device=device) for name, a in arrays.items()})


def _kth_largest(similarities: Any, k: int) -> Any:
    """Return ``(n_rows, 1)``; -inf where a row has fewer than ``k`` entries."""
    torch = load("torch")
    if similarities.shape[1] < k:
        return torch.full((len(similarities), 1), -torch.inf, device=similarities.device)
    return torch.topk(similarities, k, dim=1).values[:, -1:]


def _best(found: list[Any], n_rows: int, k: int) -> tuple[Any, Any, Any]:
    """Return rows, ids and similarities of the best ``k`` of each row, ties by ascending id."""
    torch = load("torch")
    rows, ids, similarities = (torch.cat(parts) for parts in zip(*found, strict=True))
    # Three stable sorts, the least important key first.
    order = torch.argsort(ids, stable=True)
    order = order[torch.argsort(-similarities[order], stable=True)]
    order = order[torch.argsort(rows[order], stable=True)]
    counts = torch.bincount(rows, minlength=n_rows)
    starts = torch.cumsum(counts, 0) - counts
    rank = torch.arange(len(order), device=rows.device) - starts[rows[order]]
    kept = order[rank < k]
    return rows[kept], ids[kept], similarities[kept]
