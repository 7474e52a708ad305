"""Images that are numbers, a model that reads them, and a program that freezes them."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir_bench.core.dataset import Dataset, LabelSets
from cbir_bench.core.errors import DataError
from cbir_bench.embeddings import partial
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.readers import Readers
from cbir_bench.embeddings.store import EmbeddingStore

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


def main() -> None:
    """Freeze numbers, commit after each batch, and tell the hash and the peak of memory in kB."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--dim", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--kind", default="threads")
    parser.add_argument("--commit-seconds", type=float, default=0.0)
    told = parser.parse_args()
    partial.COMMIT_SECONDS = told.commit_seconds
    before = peak_kb()
    frozen = freeze(
        EmbeddingStore(told.root),
        "key",
        dataset(told.n, Numbered(told.log, seconds=told.seconds)),
        Model(told.dim),
        np.arange(told.n),
        {},
        batch_size=told.batch_size,
        readers=Readers(n=2, kind=told.kind),
    )
    sys.stdout.write(f"{frozen.sha256} {peak_kb() - before}\n")


def peak_kb() -> int:
    """Return the most memory that this process has ever had, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main()
