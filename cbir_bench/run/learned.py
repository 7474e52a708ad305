"""What was learnt without gradients (vocabularies, whitenings), under a content address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.artefact import new_folder
from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import hash_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

LEARNING_VERSION: Final = 1
"""Part of every key; raised when the same images would teach something else than before."""
_ARRAYS: Final = "learned.safetensors"
_TABLE: Final = "learned.json"


@dataclass(frozen=True)
class LearnedStore:
    """Named arrays, one folder for each key.

    Attributes:
        root: the folder of all of them; made when the first are saved.
    """

    root: Path

    def has(self, key: str) -> bool:
        """Whether something is there; whether it is whole is found out by ``path``."""
        return (self.root / key).is_dir()

    def path(self, key: str) -> Path:
        """Return the safetensors file, verified.

        Raises:
            DataError: if it is missing or not what was saved.
        """
        path = self.root / key / _ARRAYS
        try:
            whole = hash_file(path) == self.table(key)["sha256"]
        except (OSError, KeyError):
            whole = False
        if not whole:
            raise self._damaged(key)
        return path

    def arrays(self, key: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays.

        Raises:
            DataError: if they are missing or not what was saved.
        """
        from safetensors.numpy import load_file

        return dict(load_file(self.path(key)))

    def table(self, key: str) -> dict[str, Any]:
        """Return what the arrays were made from, and how long it took.

        Raises:
            DataError: if that cannot be read.
        """
        try:
            table = json.loads((self.root / key / _TABLE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(key) from error
        if not isinstance(table, dict):
            raise self._damaged(key)
        return table

    def save(
        self, key: str, arrays: Mapping[str, NDArray[np.generic]], made_from: Mapping[str, Any]
    ) -> Path:
        """Write arrays in full or not at all, and return their file.

        Args:
            key: the hash of what decides them.
            arrays: by name.
            made_from: what the key is the hash of, and how long it took; a JSON object.

        Raises:
            DataError: if the disk is full or the folder cannot be written.
        """
        from safetensors.numpy import save_file

        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with new_folder(self.root / key) as folder:
            save_file(plain, folder / _ARRAYS)
            table = {"sha256": hash_file(folder / _ARRAYS), "made_from": dict(made_from)}
            (folder / _TABLE).write_text(json.dumps(table, indent=1), encoding="utf-8")
        return self.root / key / _ARRAYS

    def _damaged(self, key: str) -> DataError:
        return DataError(
            f"What was learnt in {self.root / key} is damaged or incomplete. "
            "Delete that folder and run the same command again; it is then learnt again."
        )
