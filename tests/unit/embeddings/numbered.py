"""Images that are numbers, and a model that reads them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir_bench.core.dataset import Dataset, LabelSets
from cbir_bench.core.errors import DataError, MissingPackageError

FACTORS = np.array([1, 256, 65536])
"""Of the channels of a pixel in the number that it is."""


@dataclass(frozen=True)
class Numbered:
    """Image ``i`` is one pixel that holds ``i``; each that is read is a line of a file, if there is one."""

    log: Path | None = None
    bad: int = -1
    odd: int = -1
    deadly: int = -1
    seconds: float = 0.0

    def read(self, rows):
        return [self._one(row) for row in rows]

    def _one(self, row):
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{row} {os.getpid()}\n")
        time.sleep(self.seconds)
        if row == self.bad:
            raise DataError(f"Image {row} cannot be decoded.")
        if row == self.odd:
            raise ValueError("broken marker")
        if row == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return (row // FACTORS % 256).astype(np.uint8)[None, None]


@dataclass(frozen=True)
class Model:
    """Vectors that tell the number of their image, and which others were in its batch."""

    dim: int = 2

    @staticmethod
    def prepare(images):
        return np.array([image.reshape(3) @ FACTORS for image in images])

    def embed(self, batches):
        for numbers in batches:
            vectors = np.ones((len(numbers), self.dim), np.float32)
            vectors[:, 0] = numbers
            if self.dim > 2:
                vectors[:, 2:] = np.sin(numbers[0])
            yield vectors


def dataset(n: int, images=None) -> Dataset:
    return Dataset(
        name="numbers",
        ids=tuple(f"image{i}" for i in range(n)),
        labels=LabelSets.of(["a"] * n),
        splits=np.full(n, 2, np.int8),
        roles=np.zeros(n, np.int8),
        images=images or Numbered(),
        content_hash="x",
    )


def rows_read(log: Path) -> list[int]:
    """Return the rows in a log, ascending, as often as they were read."""
    return sorted(int(line.split()[0]) for line in log.read_text().splitlines())


def as_lists(images):
    """Return something for each image that is no array, and arrays of every layout."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    return [
        {
            "row": int(Model.prepare([image])[0]),
            "turned": pixels.transpose(2, 0, 1),
            "part": pixels[:, ::2],
            "none": np.empty((0, 128), np.float32),
            "columns": np.asfortranarray(pixels[0]),
        }
        for image in images
    ]


def needs_a_package(images):
    """Fail as a preparation does whose library is not installed."""
    import surely_not_installed

    return surely_not_installed, images


def lacks_an_extra(images):
    """Fail with an error of ours whose constructor takes other arguments than its message."""
    raise MissingPackageError("The model x", "cv2")
