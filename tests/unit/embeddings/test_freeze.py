"""Freezing: order, bounds, checks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from unit.embeddings.numbered import Model, Numbered, dataset

from cbir_bench.core.errors import DataError, InvalidArrayError
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.readers import Readers

N = 23
ROWS = np.arange(N, dtype=np.int64)


@dataclass(frozen=True)
class Watched(Numbered):
    """Remembers which rows were read, and by which thread."""

    rows: list[int] = field(default_factory=list)
    threads: set = field(default_factory=set)

    def read(self, rows):
        self.rows.extend(rows)
        self.threads.add(threading.current_thread())
        return super().read(rows)


@dataclass(frozen=True)
class Changed(Model):
    """Does something to each batch of vectors."""

    change: object = staticmethod(lambda batch: batch)
    before: object = staticmethod(lambda: None)

    def embed(self, batches):
        for vectors in super().embed(batches):
            self.before()
            yield self.change(vectors)


def frozen(store, *, images=None, model=None, rows=ROWS, **options):
    return freeze(store, "key", dataset(N, images), model or Model(), rows, {"a": 1}, **options)


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
def test_every_vector_is_its_own_images(store, batch_size):
    """A shift by one batch would give every image the vector of another."""
    rows = ROWS[1::2]

    actual = frozen(store, rows=rows, batch_size=batch_size)

    assert actual.vectors.dtype == np.float32
    assert actual.vectors[:, 0].tolist() == actual.rows.tolist() == rows.tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_float_types_are_converted(store, dtype):
    """A model may compute in half precision; the store keeps float32."""
    model = Changed(change=lambda batch: batch.astype(dtype))

    assert frozen(store, model=model).vectors.dtype == np.float32


def test_what_made_them_is_saved_beside_them(store):
    """Tables show the dimensions and the images per second."""
    actual = frozen(store).made_from

    assert actual["a"] == 1
    assert actual["dim"] == 2
    assert actual["images_per_second"] == pytest.approx(N / actual["freeze_seconds"], rel=0.2)


def test_nothing_is_left_but_the_vectors(store):
    """The work under way takes as much space as its result."""
    frozen(store)

    assert [path.name for path in store.root.iterdir()] == ["key"]


def test_what_is_there_is_not_frozen_again(store):
    """Another process may have been faster."""
    before = frozen(store)

    actual = frozen(store, images=Numbered(bad=0))

    assert actual.sha256 == before.sha256


def test_each_image_is_read_once_and_not_far_ahead(store):
    """Memory is bounded by a few batches, however large the data set."""
    images, waiting = Watched(), []
    model = Changed(before=lambda: waiting.append(len(images.rows)))

    frozen(store, images=images, model=model, batch_size=2, readers=Readers(n=1))

    assert sorted(images.rows) == ROWS.tolist()
    assert all(n <= 2 * (i + 1) + 2 * 2 for i, n in enumerate(waiting))


def test_images_are_read_when_they_are_looked_at(store):
    """A batch of photos of 12 megapixels would take gigabytes for each reader."""
    read_so_far = []
    images = Watched()

    class OneByOne(Model):
        @staticmethod
        def prepare(images_of_batch):
            numbers = []
            for image in images_of_batch:
                numbers.append(Model.prepare([image])[0])
                read_so_far.append(len(images.rows))
            return np.array(numbers)

    frozen(store, images=images, model=OneByOne(), batch_size=N, readers=Readers(n=1))

    assert read_so_far == list(range(1, N + 1))


class TwoLooks(Model):
    """Looks at every image twice, in each of the ways that a list allows."""

    @staticmethod
    def prepare(images):
        by_place = [images[i] for i in range(len(images))]
        assert all(np.array_equal(a, b) for a, b in zip(by_place, images, strict=True))
        return Model.prepare(images[:])


def test_a_second_look_reads_nothing(store):
    """Models that see an image at several sizes look at it for each."""
    images = Watched()

    actual = frozen(store, images=images, model=TwoLooks(), batch_size=5)

    assert sorted(images.rows) == ROWS.tolist()
    assert actual.vectors[:, 0].tolist() == ROWS.tolist()


def test_a_second_look_at_large_images_reads_them_again(store, monkeypatch):
    """Keeping them would take the memory that reading them one by one has saved."""
    monkeypatch.setattr("cbir_bench.core.lazy_images._KEPT_BYTES", 6)
    images = Watched()

    actual = frozen(store, images=images, model=TwoLooks(), batch_size=N)

    assert len(images.rows) == 2 + 3 * (N - 2)  # two images of three bytes are kept
    assert actual.vectors[:, 0].tolist() == ROWS.tolist()


def test_reading_happens_off_the_main_thread(store):
    """Decoding overlaps with the model's work."""
    images = Watched()

    frozen(store, images=images)

    assert threading.main_thread() not in images.threads


def test_progress_counts_from_nothing_to_all(store):
    """The time left is computed from it."""
    told = []

    frozen(store, batch_size=10, progress=lambda *n: told.append(n))

    assert told == [(0, N), (10, N), (20, N), (N, N)]


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN or inf"), (np.inf, "NaN or inf"), (0, "only zeros")]
)
def test_useless_vectors_name_their_images(store, value, what):
    """faiss takes NaN in silence and scann crashes on it."""

    def spoil(batch):
        batch[(batch[:, 0] >= 7) & (batch[:, 0] < 12)] = value
        return batch

    with pytest.raises(
        InvalidArrayError, match=f"{what}.* 5 of 23 .*'image7', 'image8', 'image9', ..."
    ):
        frozen(store, model=Changed(change=spoil))


@pytest.mark.parametrize("change", [lambda b: b[:, :1], lambda b: b[:-1], lambda b: b[0]])
def test_a_model_that_gives_another_shape_is_refused(store, change):
    """NumPy would broadcast some of these without a word."""
    with pytest.raises(InvalidArrayError, match=r"array of shape .* for 23 images of 2 dimensions"):
        frozen(store, model=Changed(change=change))


def test_a_model_that_swallows_a_batch_is_refused(store):
    """Its last vectors would be whatever was in memory."""

    class Forgetful(Model):
        def embed(self, batches):
            yield next(iter(super().embed(batches)))

    with pytest.raises(InvalidArrayError, match="vectors for 4 of 23 images"):
        frozen(store, model=Forgetful(), batch_size=4)


def test_a_model_that_invents_a_batch_is_refused(store):
    """All vectors after it would be those of other images."""

    class Inventive(Model):
        def embed(self, batches):
            yield from super().embed(batches)
            yield np.ones((4, 2), np.float32)

    with pytest.raises(InvalidArrayError, match="for 0 images"):
        frozen(store, model=Inventive(), batch_size=4)


def test_no_image_is_a_sentence(store):
    """A split may be empty."""
    with pytest.raises(InvalidArrayError, match="no image to embed"):
        frozen(store, rows=ROWS[:0])


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_image_that_cannot_be_read_stops_with_its_name(store, kind):
    """The reader's sentence reaches the user as it is."""
    with pytest.raises(DataError, match=r"^Image 9 cannot be decoded\.$"):
        frozen(store, images=Numbered(bad=9), batch_size=2, readers=Readers(kind=kind))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_error_that_nobody_foresaw_names_the_image(store, kind):
    """Sources and models of other packages may fail in any way."""
    with pytest.raises(DataError, match=r"'image9' of 'numbers' .* ValueError: broken marker"):
        frozen(store, images=Numbered(odd=9), batch_size=2, readers=Readers(kind=kind))
