"""Content addresses: the key of an artefact is the hash of what made it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces, the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(value: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON value."""
    # A path that is no UTF-8 arrives as lone surrogates; its key is that of its bytes.
    text = canonical_json(value).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]


def hash_array(array: NDArray[np.generic]) -> str:
    """Return the SHA-256 of an array's dtype, shape and bytes."""
    digest = begin_array_hash(array.dtype, array.shape)
    digest.update(array.data if array.flags.c_contiguous else array.tobytes())
    return digest.hexdigest()


def begin_array_hash(dtype: np.dtype[Any], shape: tuple[int, ...]) -> hashlib._Hash:
    """Return what has to be updated with an array's bytes in C order to become its ``hash_array``."""
    return hashlib.sha256(f"{dtype.str}{shape}".encode())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
