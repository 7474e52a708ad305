"""Training images are resized once, with few photos in memory and never beyond the room on disk."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from live_images import LiveImages

from cbir_bench.core import lazy_images
from cbir_bench.core.errors import DataError
from cbir_bench.models.preparation import Preparation
from cbir_bench.training import pixels
from cbir_bench.training.pixels import resized_images

NETWORK = SimpleNamespace(prepare=Preparation(size=8))
ROWS = np.arange(200)[::-1].copy()


def silent(n_done):
    pass


def test_few_photos_are_in_memory_at_once(monkeypatch) -> None:
    """A batch of 64 photos of 12 megapixels would take 2 GB, and two batches are read at once."""
    monkeypatch.setattr(lazy_images, "_KEPT_BYTES", 0)
    photos = LiveImages(20)

    with resized_images(photos, ROWS, NETWORK, silent) as actual:
        expected = NETWORK.prepare(LiveImages(20).read(ROWS))
        np.testing.assert_array_equal(actual.pixels, expected)

    assert photos.most <= 2 * 2  # for each thread the one that is resized and the one before


def test_the_room_of_a_file_is_taken_before_it_is_written_to(monkeypatch) -> None:
    """A page of a file with holes that finds no room on disk ends the process by a signal."""
    files, temporary_file = [], tempfile.TemporaryFile

    def remembered(**options):
        files.append(temporary_file(**options))
        return files[0]

    monkeypatch.setattr(pixels.tempfile, "TemporaryFile", remembered)
    monkeypatch.setattr(pixels, "_IN_MEMORY_BYTES", 0)
    room, rows = [], np.arange(65) * 100  # the second batch is a single image

    def on_batch(n_done):
        room.append(os.fstat(files[0].fileno()).st_blocks * 512)

    with resized_images(
        LiveImages(4), rows, SimpleNamespace(prepare=Preparation(size=64)), on_batch
    ):
        pass

    assert room[0] >= len(rows) * 3 * 64 * 64


def test_a_full_disk_is_said(monkeypatch, tmp_path) -> None:
    """One sentence, with what is wanted and where."""

    def full(handle, offset, n_bytes):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pixels, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = (
        f"The 200 resized training images need 38,400 bytes in {tmp_path}: No space left on device. Make "
        "room there, or let the environment variable TMPDIR name another folder."
    )

    with (
        pytest.raises(DataError, match=re.escape(said)),
        resized_images(LiveImages(4), ROWS, NETWORK, silent),
    ):
        pass
