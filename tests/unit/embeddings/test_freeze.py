"""Freezing: order, bounds, checks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from cbir_bench.core.dataset import Dataset, LabelSets
from cbir_bench.core.errors import DataError, InvalidArrayError
from cbir_bench.embeddings.freeze import freeze

N = 23


@dataclass
class Numbered:
    """Image ``i`` is filled with ``i``; counts how many images are out."""

    read_rows: list[int] = field(default_factory=list)
    bad: int = -1

    def read(self, rows):
        if self.bad in rows:
            raise DataError(f"Image {self.bad} cannot be decoded.")
        self.read_rows += rows
        return [np.full((2, 2, 3), row, np.uint8) for row in rows]


@dataclass
class Counting:
    """The vector of an image is its number and a one; or whatever ``change`` makes of a batch."""

    dim: int = 2
    change: object = staticmethod(lambda batch: batch)
    before: object = staticmethod(lambda: None)

    @staticmethod
    def prepare(images):
        return images

    def embed(self, images):
        for batch in images:
            self.before()
            values = [[image[0, 0, 0], 1] for image in batch]
            yield self.change(np.array(values, np.float32))


def dataset(images: Numbered) -> Dataset:
    return Dataset(
        name="numbers",
        ids=tuple(f"image{i}" for i in range(N)),
        labels=LabelSets.of(["a"] * N),
        splits=np.full(N, 2, np.int8),
        roles=np.zeros(N, np.int8),
        images=images,
        content_hash="x",
    )


ROWS = np.arange(N, dtype=np.int64)


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
def test_every_vector_is_its_own_images(batch_size: int) -> None:
    """A shift by one batch would give every image the vector of another."""
    rows = ROWS[::-2]

    actual = freeze(dataset(Numbered()), Counting(), rows, batch_size=batch_size)

    assert actual.dtype == np.float32
    assert actual[:, 0].tolist() == rows.tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_float_types_are_converted(dtype) -> None:
    """A model may compute in half precision; the store keeps float32."""
    model = Counting(change=lambda batch: batch.astype(dtype))

    assert freeze(dataset(Numbered()), model, ROWS).dtype == np.float32


def test_each_image_is_read_once_and_not_far_ahead() -> None:
    """Memory is bounded by a few batches, however large the data set."""
    images = Numbered()
    waiting = []

    freeze(
        dataset(images),
        Counting(before=lambda: waiting.append(len(images.read_rows))),
        ROWS,
        batch_size=2,
        n_readers=1,
    )

    assert sorted(images.read_rows) == ROWS.tolist()
    assert all(n <= 2 * (i + 1) + 2 * 2 for i, n in enumerate(waiting))


def test_reading_happens_off_the_main_thread() -> None:
    """Decoding overlaps with the model's work."""
    images = Numbered()
    threads = set()
    read = images.read
    images.read = lambda rows: (threads.add(threading.current_thread()), read(rows))[1]

    freeze(dataset(images), Counting(), ROWS)

    assert threading.main_thread() not in threads


def test_progress_counts_up_to_all() -> None:
    """The time left is computed from it."""
    told = []

    freeze(dataset(Numbered()), Counting(), ROWS, batch_size=10, progress=lambda *n: told.append(n))

    assert told == [(10, N), (20, N), (N, N)]


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN or inf"), (np.inf, "NaN or inf"), (0, "only zeros")]
)
def test_useless_vectors_name_their_images(value: float, what: str) -> None:
    """faiss takes NaN in silence and scann crashes on it."""

    def spoil(batch):
        batch[(batch[:, 0] >= 7) & (batch[:, 0] < 12)] = value
        return batch

    with pytest.raises(
        InvalidArrayError, match=f"{what}.* 5 of 23 .*'image7', 'image8', 'image9', ..."
    ):
        freeze(dataset(Numbered()), Counting(change=spoil), ROWS)


@pytest.mark.parametrize("change", [lambda b: b[:, :1], lambda b: b[:-1], lambda b: b[0]])
def test_a_model_that_gives_another_shape_is_refused(change) -> None:
    """NumPy would broadcast some of these without a word."""
    with pytest.raises(InvalidArrayError, match=r"array of shape .* for 23 images of 2 dimensions"):
        freeze(dataset(Numbered()), Counting(change=change), ROWS)


def test_a_model_that_swallows_a_batch_is_refused() -> None:
    """Its last vectors would be whatever was in memory."""

    class Forgetful(Counting):
        def embed(self, images):
            yield next(iter(super().embed(images)))

    with pytest.raises(InvalidArrayError, match="vectors for 4 of 23 images"):
        freeze(dataset(Numbered()), Forgetful(), ROWS, batch_size=4)


def test_an_image_that_cannot_be_read_stops_with_its_name() -> None:
    """The reader's sentence reaches the user as it is."""
    with pytest.raises(DataError, match="Image 9 cannot be decoded"):
        freeze(dataset(Numbered(bad=9)), Counting(), ROWS, batch_size=2)
