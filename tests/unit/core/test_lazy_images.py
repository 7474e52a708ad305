"""A batch of images holds few of them at once."""

from __future__ import annotations

import pytest
from live_images import LiveImages

from cbir_bench.core import lazy_images
from cbir_bench.core.lazy_images import LazyImages

ROWS = [5, 3, 9, 3]


def looked_at(images, way):
    if way == "by place":
        return [images[i][0, 0].tolist() for i in range(len(images))]
    return [image[0, 0].tolist() for image in (images if way == "in turn" else images[:])]


@pytest.mark.parametrize("way", ["in turn", "by place", "by slice"])
def test_it_is_a_list_of_the_images(way) -> None:
    """Whoever prepares a batch may look at it as at any list."""
    expected = [image[0, 0].tolist() for image in LiveImages(4).read(ROWS)]

    actual = looked_at(LazyImages(LiveImages(4), ROWS), way)

    assert actual == expected


def test_a_pass_over_large_images_holds_two_at_a_time(monkeypatch) -> None:
    """The one that is being looked at, until the next is there."""
    monkeypatch.setattr(lazy_images, "_KEPT_BYTES", 0)
    source = LiveImages(4)

    for _ in LazyImages(source, range(20)):
        pass

    assert source.most == 2


def test_small_images_are_read_once_and_large_ones_again(monkeypatch) -> None:
    """Keeping them would take the memory that reading them one by one has saved."""
    monkeypatch.setattr(lazy_images, "_KEPT_BYTES", 2 * 4 * 4 * 3)
    source = LiveImages(4)
    images = LazyImages(source, [0, 1, 2])

    for _ in range(2):
        looked_at(images, "in turn")

    assert source.rows == [0, 1, 2, 2]


def test_it_tells_which_row_is_read() -> None:
    """An error is of the image that was read last."""
    told = []
    images = LazyImages(LiveImages(4), ROWS, told.append)

    looked_at(images, "in turn")

    assert told == [5, 3, 9]
    assert images.row == 9
