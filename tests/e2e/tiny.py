"""A few dozen photos and a small suite, run through the command line as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SUITE = """
name = "tiny"
metrics = ["map_at_r", "ap", "hit_rate@1", "precision@2", "knn_recall@5"]

[[dataset]]
use = "image_folder"
root = "photos"

[[model]]
use = "colour_histogram"

[[model]]
use = "pixels"

[[index]]
use = "exact"

[[index]]
use = "hnswlib"
m = 8
ef_search = [16, 32]

[[index]]
use = "faiss"
factory = "SQ8"

[[reranker]]
use = "none"

[[reranker]]
use = "alpha-qe"
n = 2

[search]
k = 8

[measure]
n_latency_queries = 10
n_passes = 2
n_warmup = 2
"""
N_TRIALS = 2 * 2 * 4 * 2


def write_photos(folder: Path, n_classes: int = 6, n_images: int = 6) -> None:
    """Write small pictures: each class has its own colours, each image its own noise."""
    for c in range(n_classes):
        rng = np.random.default_rng(c)
        colours = rng.integers(0, 256, (4, 4, 3))
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(n_images):
            noise = np.random.default_rng(1000 * c + i).normal(0, 40, (4, 4, 3))
            small = np.clip(colours + noise, 0, 255).astype(np.uint8)
            picture = Image.fromarray(small).resize((48, 40), Image.Resampling.BILINEAR)
            picture.save(folder / f"class{c}" / f"{i}.png")


def command(*arguments: str) -> list[str]:
    """Return the installed command with its arguments."""
    return [str(Path(sys.executable).with_name("cbir-bench")), *arguments]


def environment(place: Path) -> dict[str, str]:
    """Return an environment whose cache is the test's own."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CBIR_BENCH")}
    own = {"CBIR_BENCH_CACHE": str(place / "cache"), "CBIR_BENCH_LOCK": str(place / "lock")}
    return {**keep, **own, "NO_COLOR": "1"}


def cbir_bench(
    place: Path, *arguments: str, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder and return what it printed."""
    return subprocess.run(
        command(*arguments),
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
