"""Freezing: the vectors of a data set's images, computed once, in batches, with bounded memory."""

from __future__ import annotations

from contextlib import closing
from functools import partial as bound
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.hashing import hash_array, key_of
from cbir_bench.embeddings.partial import Partial, partial_folder
from cbir_bench.embeddings.readers import Readers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.embeddings import Embeddings
    from cbir_bench.core.model import Embedder
    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.embeddings.store import EmbeddingStore

__all__ = ["Readers", "freeze"]

_SHOWN: Final = 3
_ONE_PER_CORE: Final = Readers()


def _silent(n_done: int, n_total: int) -> None:
    """Say nothing about the progress."""


def freeze(  # noqa: PLR0917  where to, what, by what, made of what
    store: EmbeddingStore,
    key: str,
    items: Dataset | TrainingData,
    embedder: Embedder,
    rows: NDArray[np.int64],
    made_from: Mapping[str, Any],
    *,
    batch_size: int = 64,
    readers: Readers = _ONE_PER_CORE,
    progress: Callable[[int, int], None] = _silent,
) -> Embeddings:
    """Return the vectors of some rows of a data set, computed image by image and saved in the store.

    Vectors are on disk, and safe there, a few seconds after they are computed: a process that is killed
    goes on from there when it is started again, and finds the vectors that it would have found without
    (its batches are the same). Only a few batches are in memory, whatever the number of images.
    Where another process freezes the same key, this one waits for it.

    Args:
        store: where the vectors are saved.
        key: from ``embeddings_key``.
        items: their images are read once each.
        embedder: the model; vectors of another float type are converted.
        rows: ``(n_rows,)`` which images, ascending.
        made_from: what the key is the hash of; saved beside the vectors with "dim", "freeze_seconds"
            (of all attempts together) and "images_per_second".
        batch_size: images per call of the model.
        readers: who reads and prepares images.
        progress: told ``(n_done, n_total)`` before the first batch, which tells what an earlier process
            had done, and after each.

    Raises:
        DataError: if an image cannot be read, the disk is full or the folder cannot be written.
        InvalidArrayError: if the model gives NaN, infinity, a vector of zeros, or another number of
            vectors or of dimensions than it should; the message names the images.
    """
    if not len(rows):
        raise InvalidArrayError(
            f"{items.name!r} has no image to embed there. Choose another split."
        )
    shape = (len(rows), int(embedder.dim))
    final = store.root / key
    tag = key_of({"key": key, "rows": hash_array(rows), "shape": shape, "batch_size": batch_size})
    told = bound(_told, progress, len(rows))
    with partial_folder(final, told) as folder:
        if store.has(key):
            return store.load(key)
        with Partial(folder, shape, tag, batch_size) as partial:
            _complete(partial, items, embedder, rows, readers=readers, progress=told)
            seconds = partial.seconds
            measured = {
                "dim": shape[1],
                "freeze_seconds": round(seconds, 3),
                "images_per_second": round(len(rows) / seconds, 3) if seconds else None,
            }
            return store.publish(key, partial.file, rows, {**made_from, **measured})


def _told(progress: Callable[[int, int], None], n_total: int, n_done: int) -> None:
    progress(n_done, n_total)


def _complete(
    partial: Partial,
    items: Dataset | TrainingData,
    embedder: Embedder,
    rows: NDArray[np.int64],
    *,
    readers: Readers,
    progress: Callable[[int], None],
) -> None:
    """Compute the vectors that are missing."""
    done = partial.n_done
    progress(done)
    missing = partial.missing()
    images = readers.prepared(items, embedder.prepare, [rows[part] for part in missing])
    with closing(images):
        places = iter(missing)
        for batch in embedder.embed(images):
            part = next(places, slice(len(rows), len(rows)))
            partial.write(part.start, _checked(batch, rows[part], int(embedder.dim), items))
            done += part.stop - part.start
            progress(done)
    partial.commit()
    if done != len(rows):
        raise InvalidArrayError(
            f"The model gave vectors for {done} of {len(rows)} images. "
            "Let its embed() yield one matrix for each batch."
        )


def _checked(
    batch: Any, part: NDArray[np.int64], dim: int, items: Dataset | TrainingData
) -> Matrix:
    """Return a batch as float32, or name the images whose vectors cannot be used."""
    matrix = np.ascontiguousarray(batch, np.float32)
    if np.shape(batch) != (len(part), dim):
        raise InvalidArrayError(
            f"The model gave an array of shape {np.shape(batch)} for {len(part)} images of "
            f"{dim} dimensions. Let its embed() yield ({len(part)}, {dim})."
        )
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    for wrong, what in ((~np.isfinite(squares), "NaN or infinity"), (squares == 0, "only zeros")):
        if wrong.any():
            first = ", ".join(repr(items.ids[row]) for row in part[wrong][:_SHOWN])
            raise InvalidArrayError(
                f"The model gives {what} for {int(wrong.sum())} of {len(part)} images of a batch: "
                f"{first}{', ...' if wrong.sum() > _SHOWN else ''}. Check its weights and these images."
            )
    return matrix
