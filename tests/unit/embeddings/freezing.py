"""A program that freezes numbers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from unit.embeddings.numbered import Model, Numbered, dataset

from cbir_bench.embeddings import partial
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.readers import Readers
from cbir_bench.embeddings.store import EmbeddingStore


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
