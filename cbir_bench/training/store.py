"""Checkpoints under a content address: there in full and verified, or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.artefact import new_folder
from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import hash_file, key_of
from cbir_bench.training.log import TrainingLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TRAINING_VERSION: Final = 2
"""Part of every key; raised when the same recipe would give other weights than before."""
_WEIGHTS: Final = "checkpoint.safetensors"
_LOG: Final = "training.json"


def training_origin(
    *,
    data_hash: str,
    model: Mapping[str, Any],
    recipe: Mapping[str, Any],
    weights_hash: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that decides trained weights, as a JSON object.

    Args:
        data_hash: the data set's content hash.
        model: the model's setting (``Setting.to_json()``).
        recipe: the recipe's setting.
        weights_hash: of the weights that training starts from (``Model.weights_hash``).
        versions: of the libraries whose arithmetic the weights depend on.
    """
    return {
        "training_version": TRAINING_VERSION,
        "data_hash": data_hash,
        "model": dict(model),
        "recipe": dict(recipe),
        "weights_hash": weights_hash,
        "versions": dict(versions),
    }


def training_key(origin: Mapping[str, Any]) -> str:
    """Return the content address of the weights with this origin: 16 hexadecimal digits."""
    return key_of(dict(origin))


@dataclass(frozen=True)
class CheckpointStore:
    """Trained weights, one folder for each key.

    Attributes:
        root: the folder of all of them; made when the first is saved.
    """

    root: Path

    def has(self, key: str) -> bool:
        """Whether the checkpoint is there."""
        return (self.root / key).is_dir()

    def checkpoint(self, key: str) -> Path:
        """Return the safetensors file, verified.

        Raises:
            DataError: if it is missing or not what was saved; delete the folder and train again.
        """
        path = self.root / key / _WEIGHTS
        saved = self._read(key).get("sha256")
        try:
            whole = hash_file(path) == saved
        except OSError:
            whole = False
        if not whole:
            raise self._damaged(key)
        return path

    def log(self, key: str) -> TrainingLog:
        """Return what the training run did.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            return TrainingLog.from_json(self._read(key)["log"])
        except (KeyError, TypeError) as error:
            raise self._damaged(key) from error

    def save(self, key: str, network: Any, log: TrainingLog, made_from: Mapping[str, Any]) -> Path:
        """Write the network's weights and the log, in full or not at all, and return the weights' file.

        Args:
            key: from ``training_key``.
            network: a torch module; its ``header``, if it has one, becomes the file's: texts by name that
                tell how it was made.
            log: what ``train`` returned.
            made_from: what the key is the hash of (``training_origin``).

        Raises:
            DataError: if the disk is full or the folder cannot be written.
        """
        from safetensors.torch import save

        tensors = {n: t.cpu().contiguous() for n, t in network.state_dict().items()}
        weights = save(tensors, metadata=getattr(network, "header", None))
        with new_folder(self.root / key) as folder:
            (folder / _WEIGHTS).write_bytes(weights)
            table = {
                "sha256": hash_file(folder / _WEIGHTS),
                "made_from": dict(made_from),
                "log": log.to_json(),
            }
            (folder / _LOG).write_text(json.dumps(table, indent=1), encoding="utf-8")
        return self.root / key / _WEIGHTS

    def _read(self, key: str) -> dict[str, Any]:
        try:
            table = json.loads((self.root / key / _LOG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(key) from error
        if not isinstance(table, dict):
            raise self._damaged(key)
        return table

    def _damaged(self, key: str) -> DataError:
        return DataError(
            f"The checkpoint in {self.root / key} is damaged or incomplete. "
            "Delete that folder and run the same command again; the model is then trained again."
        )
