"""The noun Embeddings: frozen vectors of a data set's test split, and what made them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Vectors that never change again.

    Attributes:
        vectors: ``(n_items, dim)`` float32, read-only, usually mapped from disk.
        rows: ``(n_items,)`` the data set's row of each vector, ascending.
        key: content address: the hash of data, model, weights and code version.
        sha256: the hash of ``vectors``, checked when they were read.
        made_from: what the key is the hash of, as JSON, with the seconds it took.
    """

    vectors: Matrix
    rows: NDArray[np.int64]
    key: str
    sha256: str
    made_from: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.rows):
            raise InvalidArrayError(
                f"There are {len(self.vectors)} vectors for {len(self.rows)} items. "
                "Delete the folder of this artefact and freeze again."
            )
