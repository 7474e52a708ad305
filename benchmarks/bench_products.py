"""How fast are products drawn? Images per second on one core, beside decoding JPEGs of the same size.

Run: python benchmarks/bench_products.py [--level easy] [--size 64] [--classes 30] [--views 10] [--repeats 7]

Artwork is drawn anew for every class, as in a first pass over a data set. CPU time of one thread is
counted, so that a busy machine changes the numbers little; the ratio changes least.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import typing
from pathlib import Path

from PIL import Image

from cbir_bench.core.dataset import DataContext, Dataset
from cbir_bench.datasets.pictures import decode
from cbir_bench.datasets.products import Products
from cbir_bench.datasets.scene import Level

if typing.TYPE_CHECKING:
    from collections.abc import Callable


def images_per_second(work: Callable[[], object], n_images: int) -> float:
    start = time.thread_time()
    work()
    return n_images / (time.thread_time() - start)


def opened(options: argparse.Namespace) -> Dataset:
    # Each repeat draws classes that no earlier one has drawn; the first one warms up.
    products = Products(
        n_train_classes=0,
        n_test_classes=options.classes * (options.repeats + 1),
        n_views=options.views,
        size=options.size,
        level=options.level,
    )
    return products.open(DataContext(folders=(), cache=Path()))


def jpegs(dataset: Dataset, n: int) -> list[bytes]:
    files = []
    for image in dataset.images.read(range(n)):
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", choices=typing.get_args(Level), default="easy")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--classes", type=int, default=30)
    parser.add_argument("--views", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    dataset, n = opened(options), options.classes * options.views
    files = jpegs(dataset, n)
    drawn, decoded = [], []
    for repeat in range(1, options.repeats + 1):
        rows = range(repeat * n, (repeat + 1) * n)
        drawn.append(images_per_second(lambda rows=rows: dataset.images.read(rows), n))
        decoded.append(images_per_second(lambda: [decode(data) for data in files], n))

    ratio = statistics.median(d / j for d, j in zip(drawn, decoded, strict=True))
    print(
        f"{options.level}, {options.size} px, {options.views} views per class, {n} images a repeat"
    )
    for what, rates in (("drawn", drawn), ("decoded", decoded)):
        print(
            f"{what:8} {statistics.median(rates):6,.0f} images/s ({min(rates):,.0f} to {max(rates):,.0f})"
        )
    print(f"ratio drawn / decoded: {ratio:.3f}")


if __name__ == "__main__":
    main()
