"""The training images, resized once, so that no step waits for a decoder."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.ahead import ahead
from cbir_bench.core.errors import DataError
from cbir_bench.core.lazy_images import LazyImages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.dataset import ImageSource

_BATCH: Final = 64
_IN_MEMORY_BYTES: Final = 1 << 30
"""Beyond this the resized images live in a temporary file, which the kernel pages in and out."""


class Resized(NamedTuple):
    """Images, all of one size.

    Attributes:
        pixels: ``(n_images, 3, height, width)`` uint8.
        sha256: of all of them.
    """

    pixels: NDArray[np.uint8]
    sha256: str


@contextmanager
def resized_images(
    images: ImageSource, rows: NDArray[np.int64], network: Any, on_batch: Callable[[int], None]
) -> Iterator[Resized]:
    """Give the images in the order of ``rows``, for as long as the block lasts.

    Args:
        images: where the pixels are read from.
        rows: the data set's row of each image, at least one.
        network: its ``prepare`` resizes a batch.
        on_batch: told how many images are ready, after each batch.

    Raises:
        DataError: if an image cannot be read, or there is no room for the resized ones.
    """

    def prepared(batch: NDArray[np.int64]) -> NDArray[np.uint8]:
        resized: NDArray[np.uint8] = network.prepare(LazyImages(images, batch.tolist()))
        return resized

    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(prefix="cbir_bench_training_") as file:
        pixels = np.empty((0, 3, 1, 1), np.uint8)
        done = 0
        for block in ahead(prepared, parts, n_threads=2):
            if not done:
                pixels = _room((len(rows), *block.shape[1:]), file)
            pixels[done : done + len(block)] = block
            digest.update(np.ascontiguousarray(block).data)
            done += len(block)
            on_batch(done)
        yield Resized(pixels, digest.hexdigest())


def _room(shape: tuple[int, ...], file: Any) -> NDArray[np.uint8]:
    n_bytes = math.prod(shape)
    if n_bytes <= _IN_MEMORY_BYTES:
        return np.empty(shape, np.uint8)
    try:
        # Reserved at once: a disk that fills up while pages are written would end the process by a signal.
        os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(file, np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise DataError(
            f"The {shape[0]} resized training images need {n_bytes:,} bytes in {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Make room there, or let the environment variable TMPDIR name "
            "another folder."
        ) from error
