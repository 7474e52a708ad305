"""Freezing: the vectors of a data set's images, computed once, in batches, with bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.ahead import ahead
from cbir_bench.core.errors import InvalidArrayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.model import Embedder

_SHOWN: Final = 3


def _silent(n_done: int, n_total: int) -> None:
    """Say nothing about the progress."""


def freeze(
    dataset: Dataset,
    embedder: Embedder,
    rows: NDArray[np.int64],
    *,
    batch_size: int = 64,
    n_readers: int = 2,
    progress: Callable[[int, int], None] = _silent,
) -> Matrix:
    """Return the ``(n_rows, dim)`` float32 vectors of some rows of a data set.

    Threads read and decode images while the model computes; a few batches of images are in memory
    at any time, whatever the size of the data set.

    Args:
        dataset: its images are read once each.
        embedder: the model; vectors of another float type are converted.
        rows: which images, in which order.
        batch_size: images per call of the model.
        n_readers: threads that read images; the data set is called from all of them.
        progress: told ``(n_done, n_total)`` after each batch.

    Raises:
        DataError: if an image cannot be read.
        InvalidArrayError: if the model gives NaN, infinity, a vector of zeros, or another number of
            vectors or of dimensions than it should; the message names the images.
    """
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    prepare = embedder.prepare
    images = ahead(
        lambda part: prepare(dataset.images.read(part.tolist())), parts, n_threads=n_readers
    )
    vectors = np.empty((len(rows), embedder.dim), np.float32)
    done = 0
    for batch in embedder.embed(images):
        part = rows[done : done + batch_size]
        vectors[done : done + len(part)] = _checked(batch, part, embedder.dim, dataset)
        done += len(part)
        progress(done, len(rows))
    if done != len(rows):
        raise InvalidArrayError(
            f"The model gave vectors for {done} of {len(rows)} images. "
            "Let its embed() yield one matrix for each batch."
        )
    return vectors


def _checked(batch: Any, part: NDArray[np.int64], dim: int, dataset: Dataset) -> Matrix:
    """Return a batch as float32, or name the images whose vectors cannot be used."""
    matrix = np.asarray(batch, np.float32)
    if matrix.shape != (len(part), dim):
        raise InvalidArrayError(
            f"The model gave an array of shape {np.shape(batch)} for {len(part)} images of "
            f"{dim} dimensions. Let its embed() yield ({len(part)}, {dim})."
        )
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    for wrong, what in ((~np.isfinite(squares), "NaN or infinity"), (squares == 0, "only zeros")):
        if wrong.any():
            first = ", ".join(repr(dataset.ids[row]) for row in part[wrong][:_SHOWN])
            raise InvalidArrayError(
                f"The model gives {what} for {int(wrong.sum())} of {len(part)} images of a batch: "
                f"{first}{', ...' if wrong.sum() > _SHOWN else ''}. Check its weights and these images."
            )
    return matrix
