"""Random draws that are the same on every machine and with every version of NumPy.

NumPy promises a stable stream for the raw bits of a seeded bit generator, but not for what
``Generator`` makes of them (NEP 19), so numbers are made from raw bits here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK: Final = 160
"""Raw words asked for at once: what one image needs, nearly always."""


class Draws:
    """A stream of random numbers that depends on its key alone.

    Args:
        key: non-negative integers.
    """

    __slots__ = ("_bits", "_next", "_units")

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))
        self._units: list[float] = []
        self._next = 0

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        if self._next == len(self._units):
            self._units = _units(self._bits.random_raw(_CHUNK)).tolist()
            self._next = 0
        self._next += 1
        return self._units[self._next - 1]

    def between(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.unit()

    def around(self, width: float) -> float:
        """Return a number in [-width, width)."""
        return width * (2.0 * self.unit() - 1.0)

    def below(self, n: int) -> int:
        """Return an integer in [0, n)."""
        return int(n * self.unit())

    def chance(self, share: float) -> bool:
        """Return True in a share of all cases."""
        return self.unit() < share

    def units(self, *shape: int) -> NDArray[np.float64]:
        """Return an array of numbers in [0, 1)."""
        n = int(np.prod(shape))
        return np.array([self.unit() for _ in range(n)]).reshape(shape)


def bell_curve(n: int, *key: int) -> NDArray[np.float32]:
    """Return ``(n,)`` nearly normal numbers of mean 0 and deviation 1.

    Each is the sum of eight random bytes, so that no logarithm, which differs between machines in its
    last bit, takes part.
    """
    raw = np.asarray(np.random.PCG64(np.random.SeedSequence(key)).random_raw(n), dtype="<u8")
    sums = raw.view(np.uint8).reshape(n, 8).sum(axis=1, dtype=np.int64)
    deviation = np.sqrt(8 * (256**2 - 1) / 12)
    normal: NDArray[np.float32] = ((sums - 8 * 127.5) / deviation).astype(np.float32)
    return normal


def _units(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
