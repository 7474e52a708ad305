"""How much of the bare forward pass's throughput freezing keeps, on the same images in the same run.

    python benchmarks/bench_freeze.py [--backbone NAME] [--image-size N] [--batch-size N] ...

Each round times, in CPU seconds of the whole process and in wall seconds:

- bare: the network alone on prepared tensors, in batches,
- memory: ``freeze`` on images that are in memory already,
- draw: ``freeze`` on images that are drawn (decoded) when read.

Printed are medians over rounds of the ratio within a round, so that a busy machine cancels out.
A ratio of 1.00 means that freezing costs nothing beyond the network itself.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.core.model import Learned
from cbir_bench.datasets.products import Products
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.models.timm_backbone import TimmModel


@dataclass(frozen=True)
class InMemory:
    """Images that cost nothing to read."""

    images: list

    def read(self, rows):
        return [self.images[row] for row in rows]


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--output-stride", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n-images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--n-threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return parser.parse_args()


def timed(work):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def main():
    chosen = options()
    torch.set_num_threads(chosen.n_threads)
    context = DataContext(folders=(), cache=Path())
    n_classes = -(-chosen.n_images // 8)
    drawn = Products(n_train_classes=0, n_test_classes=n_classes, n_views=8, size=chosen.image_size)
    data = drawn.open(context)
    rows = data.rows(Split.TEST)[: chosen.n_images]
    held = replace(data, images=InMemory(data.images.read(range(len(data)))))
    embedder = TimmModel(
        backbone=chosen.backbone,
        image_size=chosen.image_size,
        output_stride=chosen.output_stride,
        device=chosen.device,
    ).embedder(context, Learned())
    pixels = torch.from_numpy(embedder.network.prepare(held.images.read(rows.tolist())))

    def bare():
        with torch.inference_mode():
            for batch in pixels.split(chosen.batch_size):
                embedder.network(batch.to(embedder.network.device)).cpu()

    works = {
        "bare": bare,
        "memory": lambda: freeze(held, embedder, rows, batch_size=chosen.batch_size),
        "draw": lambda: freeze(data, embedder, rows, batch_size=chosen.batch_size),
    }
    for work in works.values():
        work()
    rounds = [{name: timed(work) for name, work in works.items()} for _ in range(chosen.rounds)]
    bare_wall, bare_cpu = (median(r["bare"][i] for r in rounds) for i in (0, 1))
    print(
        f"{chosen.backbone} {chosen.image_size} px, batch {chosen.batch_size}, {len(rows)} images, "
        f"{chosen.n_threads} threads, {embedder.network.device}: bare forward pass "
        f"{len(rows) / bare_wall:,.0f} images/s, {len(rows) / bare_cpu:,.0f} images/CPU s"
    )
    for name in ("memory", "draw"):
        wall, cpu = (np.array([r["bare"][i] / r[name][i] for r in rounds]) for i in (0, 1))
        print(
            f"freeze, {name:6}: {median(wall):.3f} of the bare throughput by wall time "
            f"({wall.min():.3f} to {wall.max():.3f}), {median(cpu):.3f} by CPU time"
        )


if __name__ == "__main__":
    main()
