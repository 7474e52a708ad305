"""How much of the bare forward pass's throughput freezing keeps, on the same images in the same run.

    python benchmarks/bench_freeze.py [--images products|photos] [--backbone NAME] [--image-size N] ...

The bare forward pass is the network alone on prepared tensors, timed at several batch sizes; the best one
is used for all that follows. Each round then times, in wall seconds and in CPU seconds of this process
and its readers:

- bare: the network alone,
- prepared: ``freeze`` to disk, of images that are in memory as the network takes them,
- threads: ``freeze`` to disk with decoding, by threads,
- processes: the same by processes, once they have started (starting costs a second or two, once).

Printed are medians over rounds of the ratio to ``bare`` within a round, so that a busy machine cancels out;
each round begins with another of them. Where decoding and the network share the cores, and the network
alone keeps them all busy, no program can keep more than the last line says: the network's share of the
work. The last column tells what freezing itself costs: its CPU time in shares of what the network and
decoding take, each alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.core.model import Learned
from cbir_bench.datasets.csv_table import CsvTable
from cbir_bench.datasets.products import Products
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.readers import Readers
from cbir_bench.embeddings.store import EmbeddingStore
from cbir_bench.models.networks.embedder import tf32_is
from cbir_bench.models.timm_backbone import TimmModel

BATCH_SIZES = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Rows:
    """Images that cost nothing to read: their own numbers."""

    def read(self, rows):
        return [np.array([row]) for row in rows]


class Prepared:
    """A model whose images are prepared already, as one array."""

    def __init__(self, embedder, pixels):
        self.embedder, self.pixels, self.dim = embedder, pixels, embedder.dim

    def prepare(self, images):
        first = int(images[0][0])
        return self.pixels[first : first + len(images)]

    def embed(self, batches):
        return self.embedder.embed(batches)


class Seconds(NamedTuple):
    """What a piece of work took: on the clock, and of all cores."""

    wall: float
    cpu: float


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", choices=["products", "photos"], default="products")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("CBIR_BENCH_TEST_DATA"),
        help="holds grocery160.zip",
    )
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=0)
    parser.add_argument("--output-stride", type=int, default=0)
    parser.add_argument("--n-images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, default=None)
    parser.add_argument("--n-threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--ways",
        nargs="+",
        default=["prepared", "threads", "processes"],
        choices=["prepared", "threads", "processes"],
        help="what is measured beside the bare forward pass",
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return parser.parse_args()


def opened(chosen):
    """Return the data set, or say why there is none."""
    context = DataContext(folders=(chosen.data or Path(),), cache=Path(tempfile.gettempdir()))
    if chosen.images == "products":
        n_classes = -(-chosen.n_images // 8)
        size = chosen.image_size or 64
        return Products(n_train_classes=0, n_test_classes=n_classes, n_views=8, size=size).open(
            context
        )
    if chosen.data is None or not (chosen.data / "grocery160.zip").is_file():
        raise SystemExit(
            "No photos: give --data FOLDER or CBIR_BENCH_TEST_DATA, with grocery160.zip in it."
        )
    table = CsvTable(
        root="grocery160.zip",
        table="grocery/test.txt",
        header="no",
        path_column="1",
        label_column="2",
    )
    return table.open(context)


def synchronised():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def cpu_seconds():
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def timed(work, *arguments):
    synchronised()
    wall, cpu = time.perf_counter(), cpu_seconds()
    work(*arguments)
    synchronised()
    return Seconds(time.perf_counter() - wall, cpu_seconds() - cpu)


def bare(embedder, pixels, batch_size):
    network = embedder.network
    with torch.inference_mode(), tf32_is(allowed=False):
        for batch in torch.from_numpy(pixels).split(batch_size):
            network(batch.to(network.device)).cpu()


def best_batch_size(embedder, pixels):
    """Return the batch size at which the network alone is fastest."""
    found = {}
    for size in BATCH_SIZES:
        some = pixels[: max(size, 2 * BATCH_SIZES[2])]
        if size <= len(some):
            bare(embedder, some, size)
            found[size] = min(timed(bare, embedder, some, size).wall for _ in range(2)) / len(some)
    return min(found, key=found.get)


def frozen(data, embedder, rows, batch_size, readers):
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore(Path(folder))
        freeze(store, "key", data, embedder, rows, {}, batch_size=batch_size, readers=readers)


def decoded(data, embedder, rows, batch_size, readers):
    """Read and prepare all images, and embed none."""
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    with closing(readers.prepared(data, embedder.prepare, batches)) as images:
        for _ in images:
            pass


def started(data, embedder, rows, readers):
    """Start readers and end them, with one image for each between."""
    n = readers.n or len(os.sched_getaffinity(0))
    decoded(data, embedder, rows[:n], 1, readers)


def main():
    chosen = options()
    torch.set_num_threads(chosen.n_threads)
    data = opened(chosen)
    rows = data.rows(Split.TEST)[: chosen.n_images]
    model = TimmModel(
        backbone=chosen.backbone,
        image_size=chosen.image_size,
        output_stride=chosen.output_stride,
        device=chosen.device,
    )
    embedder = model.embedder(DataContext(folders=(), cache=Path()), Learned())
    pixels = embedder.prepare(data.images.read(rows.tolist()))
    batch_size = best_batch_size(embedder, pixels)
    threads, processes = (Readers(n=chosen.readers, kind=kind) for kind in ("threads", "processes"))
    held = replace(data, images=Rows())
    places = np.arange(len(rows))
    works = {
        "bare": lambda: bare(embedder, pixels, batch_size),
        "prepared": lambda: frozen(held, Prepared(embedder, pixels), places, batch_size, threads),
        "threads": lambda: frozen(data, embedder, rows, batch_size, threads),
        "processes": lambda: frozen(data, embedder, rows, batch_size, processes),
        "decode": lambda: decoded(data, embedder, rows, batch_size, Readers(n=1)),
        "start": lambda: started(data, embedder, rows, processes),
    }
    needed = {"bare", "decode", *chosen.ways} | ({"start"} if "processes" in chosen.ways else set())
    if chosen.ways == ["prepared"]:
        needed -= {"decode"}
    works = {name: work for name, work in works.items() if name in needed}
    for work in works.values():
        work()
    rounds = []
    for _ in range(chosen.rounds):
        rounds.append({name: timed(work) for name, work in works.items()})
        name, work = next(iter(works.items()))
        works = {**{n: w for n, w in works.items() if n != name}, name: work}
    report(chosen, embedder, batch_size, rounds, len(rows))


def report(chosen, embedder, batch_size, rounds, n):
    def typical(name):
        return Seconds(*(median(one[name][i] for one in rounds) for i in (0, 1)))

    cores = len(os.sched_getaffinity(0))
    network = typical("bare")
    nothing = Seconds(0.0, 0.0)
    decoding, start = (typical(n) if n in rounds[0] else nothing for n in ("decode", "start"))
    print(
        f"{chosen.images}, {chosen.backbone} on {embedder.network.device}, {n} images, "
        f"{chosen.n_threads} threads of torch, {cores} cores, batch {batch_size}\n"
        f"bare forward pass {n / network.wall:,.0f} images/s, {1e3 * network.cpu / n:.2f} CPU ms each; "
        f"reading and preparing {1e3 * decoding.cpu / n:.2f} CPU ms each; "
        f"processes start in {start.wall:.1f} s"
    )
    for name in chosen.ways:
        idle = start if name == "processes" else Seconds(0.0, 0.0)
        ratios = [one["bare"].wall / (one[name].wall - idle.wall) for one in rounds]
        work = median(one[name].cpu for one in rounds) - idle.cpu
        alone = network.cpu + (0 if name == "prepared" else decoding.cpu)
        print(
            f"freeze, {name:9}: {median(ratios):.3f} of the bare throughput ({min(ratios):.3f} to "
            f"{max(ratios):.3f}); {1e3 * work / n:.2f} CPU ms each, {work / alone:.2f} of its parts"
        )
    if embedder.network.device == "cpu":
        share = network.cpu / (network.cpu + decoding.cpu)
        print(f"the network is {share:.3f} of the work, decoding the rest")


if __name__ == "__main__":
    main()
