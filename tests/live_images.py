"""A source of images that counts how many of them are in memory at once."""

from __future__ import annotations

import threading
import weakref

import numpy as np


class LiveImages:
    """Images of noise; ``most`` is the largest number of them that were alive together.

    Args:
        side: height and width in pixels.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        self._lock = threading.RLock()  # a finalizer may run while it is held
        self._alive = 0
        self.most = 0
        self.rows: list[int] = []

    def read(self, rows):
        """See ``core.dataset.ImageSource``."""
        return [self._image(row) for row in rows]

    def _image(self, row):
        draw = np.random.default_rng(row)
        image = draw.integers(0, 256, (self._side, self._side, 3), dtype=np.uint8)
        with self._lock:
            self.rows.append(row)
            self._alive += 1
            self.most = max(self.most, self._alive)
        weakref.finalize(image, self._ended)
        return image

    def _ended(self):
        with self._lock:
            self._alive -= 1
