"""Small whole numbers side by side in bytes, the first in the lowest bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def packed_width(n_values: int, n_bits: int) -> int:
    """Return the bytes that ``n_values`` numbers of ``n_bits`` bits take, rounded up."""
    return -(-n_values * n_bits // 8)


def pack(values: NDArray[np.uint8], n_bits: int) -> NDArray[np.uint8]:
    """Return ``(n, packed_width(n_values, n_bits))`` bytes.

    Args:
        values: ``(n, n_values)`` below ``2 ** n_bits``.
        n_bits: 1, 2, 4 or 8, so that no number lies across two bytes.
    """
    n, n_values = values.shape
    per_byte = 8 // n_bits
    padded = np.zeros((n, packed_width(n_values, n_bits) * per_byte), np.uint8)
    padded[:, :n_values] = values
    shifted = padded.reshape(n, -1, per_byte) << _shifts(n_bits)
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(shifted, axis=2)
    return packed


def unpack(codes: NDArray[Any], n_values: int, n_bits: int) -> NDArray[np.uint8]:
    """Return the ``(n, n_values)`` numbers that ``pack`` was given."""
    values = (codes[:, :, None] >> _shifts(n_bits)) & np.uint8(2**n_bits - 1)
    return np.ascontiguousarray(values.reshape(len(codes), -1)[:, :n_values])


def _shifts(n_bits: int) -> NDArray[np.uint8]:
    return np.arange(0, 8, n_bits, dtype=np.uint8)
