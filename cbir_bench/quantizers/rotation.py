"""Random rotations: what every dimension holds is spread over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_rotation(dim: int, seed: int) -> NDArray[np.float32]:
    """Return a ``(dim, dim)`` orthonormal matrix, uniform over all of them (Mezzadri, 2007)."""
    normal = np.random.default_rng(seed).standard_normal((dim, dim))
    rotation, triangle = np.linalg.qr(normal)
    # The factorisation's own signs are not uniform; those of the diagonal make them so.
    return (rotation * np.sign(np.diag(triangle))).astype(np.float32)
