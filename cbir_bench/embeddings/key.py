"""The content address of frozen vectors: whatever changes them changes the key."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.hashing import hash_array, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

EMBEDDING_VERSION: Final = 2
"""Part of every key; raised when the same settings would give other vectors than before."""


def embeddings_origin(
    *,
    data_hash: str,
    rows: NDArray[np.int64],
    model: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    weights_hash: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that decides frozen vectors, as a JSON object.

    Args:
        data_hash: the data set's content hash.
        rows: which of its rows are frozen.
        model: the model's setting (``Setting.to_json()``).
        training: the recipe's setting; None for a model that was not trained here.
        weights_hash: what ``Model.weights_hash`` returned.
        versions: of the libraries whose arithmetic the vectors depend on (``library_versions``).
    """
    return {
        "embedding_version": EMBEDDING_VERSION,
        "data_hash": data_hash,
        "rows_hash": hash_array(rows),
        "n_rows": len(rows),
        "model": dict(model),
        "training": None if training is None else dict(training),
        "weights_hash": weights_hash,
        "versions": dict(versions),
    }


def embeddings_key(origin: Mapping[str, Any]) -> str:
    """Return the content address of the vectors with this origin: 16 hexadecimal digits."""
    return key_of(dict(origin))


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each module's package, without importing it.

    Args:
        modules: names as in ``import``; NumPy is always added. One that is not installed has the
            version "none".
    """
    return {name: _version(name) for name in sorted({"numpy", *modules})}


def _version(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:
        found = packages_distributions().get(module)
        return version(found[0]) if found else "none"
