"""Frozen vectors under a content address: written in full or not at all, verified when read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.artefact import new_folder
from cbir_bench.core.embeddings import Embeddings
from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import hash_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix

_VECTORS: Final = "vectors.npy"
_ROWS: Final = "rows.npy"
_TABLE: Final = "embeddings.json"


@dataclass(frozen=True)
class EmbeddingStore:
    """Frozen vectors, one folder for each key.

    Attributes:
        root: the folder of all of them; made when the first are saved.
    """

    root: Path

    def has(self, key: str) -> bool:
        """Whether the vectors are there; whether they are whole is found out by ``load``."""
        return (self.root / key).is_dir()

    def load(self, key: str) -> Embeddings:
        """Return the vectors, mapped from disk and read-only.

        Raises:
            DataError: if they are missing or not what was saved, to the last bit.
        """
        folder = self.root / key
        try:
            table = json.loads((folder / _TABLE).read_text(encoding="utf-8"))
            vectors = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
            rows = np.load(folder / _ROWS, allow_pickle=False)
            whole = _hashes(vectors, rows) == (table["sha256"], table["rows_sha256"])
            made_from = dict(table["made_from"])
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self._damaged(key) from error
        if not whole:
            raise self._damaged(key)
        return Embeddings(
            vectors=vectors, rows=rows, key=key, sha256=table["sha256"], made_from=made_from
        )

    def save(
        self, key: str, vectors: Matrix, rows: NDArray[np.int64], made_from: Mapping[str, Any]
    ) -> Embeddings:
        """Write vectors in full or not at all, and return them as ``load`` does.

        Where another process saved the same key meanwhile, its vectors are kept and returned.

        Args:
            key: from ``embeddings_key``.
            vectors: ``(n_items, dim)`` float32.
            rows: ``(n_items,)`` the data set's row of each, ascending.
            made_from: what the key is the hash of, and how long it took; a JSON object.

        Raises:
            DataError: if the disk is full or the folder cannot be written.
        """
        vectors_hash, rows_hash = _hashes(vectors, rows)
        table = {
            "sha256": vectors_hash,
            "rows_sha256": rows_hash,
            "shape": list(vectors.shape),
            "made_from": dict(made_from),
        }
        with new_folder(self.root / key) as folder:
            np.save(folder / _VECTORS, vectors, allow_pickle=False)
            np.save(folder / _ROWS, rows, allow_pickle=False)
            (folder / _TABLE).write_text(json.dumps(table, indent=1), encoding="utf-8")
        return self.load(key)

    def _damaged(self, key: str) -> DataError:
        return DataError(
            f"The frozen embeddings in {self.root / key} are damaged or incomplete. "
            "Delete that folder and run the same command again; they are then frozen again."
        )


def _hashes(vectors: NDArray[Any], rows: NDArray[Any]) -> tuple[str, str]:
    return hash_array(vectors), hash_array(rows)
