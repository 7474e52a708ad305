"""Frozen vectors under a content address: written in full or not at all, verified when read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.artefact import new_folder
from cbir_bench.core.embeddings import Embeddings
from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import hash_array
from cbir_bench.embeddings.vectors_file import VectorsFile, hash_mapped

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
        table = self.table(key)
        try:
            vectors = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
            rows = np.load(folder / _ROWS, allow_pickle=False)
            hashes = (hash_mapped(folder / _VECTORS, vectors), hash_array(rows))
            whole = hashes == (table["sha256"], table["rows_sha256"])
            made_from = dict(table["made_from"])
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self._damaged(key) from error
        if not whole:
            raise self._damaged(key)
        return Embeddings(
            vectors=vectors, rows=rows, key=key, sha256=table["sha256"], made_from=made_from
        )

    def table(self, key: str) -> dict[str, Any]:
        """Return what is known of vectors without reading them: their shape, hashes and what made them.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            table = json.loads((self.root / key / _TABLE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(key) from error
        if not isinstance(table, dict) or not isinstance(table.get("made_from"), dict):
            raise self._damaged(key)
        return table

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
        with new_folder(self.root / key) as folder:
            with VectorsFile(folder / _VECTORS, vectors.shape) as file:
                file.write(0, vectors)
                sha256 = file.sha256()
            _describe(folder, sha256, vectors.shape, rows, made_from)
        return self.load(key)

    def publish(
        self,
        key: str,
        file: VectorsFile,
        rows: NDArray[np.int64],
        made_from: Mapping[str, Any],
    ) -> Embeddings:
        """Give a finished file of vectors its final place, with all that ``save`` writes beside it.

        The file is linked there, so that no moment is without it and nothing is written twice.

        Args:
            key: from ``embeddings_key``.
            file: somewhere in the store's folder.
            rows: as in ``save``.
            made_from: as in ``save``.

        Raises:
            DataError: as in ``save``.
        """
        sha256 = file.sha256()
        with new_folder(self.root / key) as folder:
            _link(file.path, folder / _VECTORS)
            _describe(folder, sha256, file.shape, rows, made_from)
        return self.load(key)

    def _damaged(self, key: str) -> DataError:
        return DataError(
            f"The frozen embeddings in {self.root / key} are damaged or incomplete. "
            "Delete that folder and run the same command again; they are then frozen again."
        )


def _link(path: Path, new: Path) -> None:
    """Give a file a second name, or move it where the file system has no such thing."""
    try:
        os.link(path, new)
    except OSError:
        path.rename(new)


def _describe(
    folder: Path,
    sha256: str,
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    made_from: Mapping[str, Any],
) -> None:
    """Write what lies beside the vectors."""
    np.save(folder / _ROWS, rows, allow_pickle=False)
    table = {
        "sha256": sha256,
        "rows_sha256": hash_array(rows),
        "shape": list(shape),
        "made_from": dict(made_from),
    }
    (folder / _TABLE).write_text(json.dumps(table, indent=1), encoding="utf-8")
