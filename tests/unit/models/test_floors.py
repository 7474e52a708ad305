"""The two floors: colour histogram and raw pixels."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.models.colour_histogram import ColourHistogram
from cbir_bench.models.pixels import Pixels


def embed(model, *images):
    (vectors,) = model.embed([model.prepare(list(images))])
    return vectors


def filled(*colour, size=(4, 4)):
    return np.full((*size, 3), colour, np.uint8)


def test_a_histogram_holds_the_square_root_of_each_share() -> None:
    """Half black, half white: two bins of one half each."""
    image = np.concatenate([filled(0, 0, 0), filled(255, 255, 255)])

    (actual,) = embed(ColourHistogram(bins=2), image)

    np.testing.assert_allclose(actual, [0.5**0.5, 0, 0, 0, 0, 0, 0, 0.5**0.5], rtol=1e-6)


def test_the_bins_are_in_the_order_red_green_blue() -> None:
    """Swapped channels would go unnoticed in any average over many images."""
    colours = [filled(255, 0, 0), filled(0, 255, 0), filled(0, 0, 255)]

    actual = embed(ColourHistogram(bins=2), *colours).argmax(axis=1)

    assert actual.tolist() == [4, 2, 1]


def test_intervals_are_equal_and_hold_every_level() -> None:
    """256 levels in three intervals: black and white are in the first and the last, none falls out."""
    levels = np.arange(256, dtype=np.uint8)
    image = np.stack([levels, np.zeros_like(levels), np.full_like(levels, 255)], axis=-1)[None]

    (actual,) = embed(ColourHistogram(bins=3), image)

    shares = (actual**2).reshape(3, 3, 3)
    np.testing.assert_allclose(shares[:, 0, 2] * 256, [86, 85, 85], rtol=1e-5)
    assert shares.sum() == pytest.approx(1)


def test_hsv_bins_are_in_the_order_hue_saturation_value() -> None:
    """Grey has no saturation; white has the largest value; blue lies two thirds round the circle of hues."""
    model = ColourHistogram(bins=3, colours="hsv")
    colours = [filled(128, 128, 128), filled(255, 255, 255), filled(255, 0, 0), filled(20, 20, 255)]

    bins = embed(model, *colours).argmax(axis=1)

    hue, saturation, value = np.unravel_index(bins, (3, 3, 3))
    assert saturation.tolist() == [0, 0, 2, 2]
    assert value.tolist() == [1, 2, 2, 2]
    assert hue[2:].tolist() == [0, 1]


def test_where_a_colour_is_does_not_matter() -> None:
    """A histogram counts; pixels do not."""
    draw = np.random.default_rng(4)
    image = draw.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    shuffled = draw.permutation(image.reshape(-1, 3)).reshape(10, 12, 3)

    counted = embed(ColourHistogram(), image, shuffled)
    seen = embed(Pixels(size=8), image, shuffled)

    np.testing.assert_array_equal(counted[0], counted[1])
    assert seen[0] @ seen[1] < 0.5


def test_the_cosine_is_the_bhattacharyya_coefficient() -> None:
    """That is what the square root is for."""
    draw = np.random.default_rng(0)
    a, b = (draw.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in range(2))
    shares = [
        np.histogramdd(x.reshape(-1, 3), bins=3, range=[(0, 256)] * 3)[0] / 81 for x in (a, b)
    ]

    vectors = embed(ColourHistogram(bins=3), a, b)

    assert vectors[0] @ vectors[1] == pytest.approx(np.sqrt(shares[0] * shares[1]).sum(), rel=1e-5)


def test_hue_ignores_brightness_but_not_colour() -> None:
    """Dark red and bright red share their hue bin; red and green do not."""
    model = ColourHistogram(bins=4, colours="hsv")

    bins = embed(model, filled(255, 0, 0), filled(100, 0, 0), filled(0, 255, 0)).argmax(axis=1)

    hue = bins // 16
    assert hue[0] == hue[1] != hue[2]


def test_pixels_compare_by_correlation() -> None:
    """Brighter and stronger in contrast is the same image; its negative is the opposite."""
    draw = np.random.default_rng(1)
    image = draw.integers(50, 100, (8, 8, 3), dtype=np.uint8)

    a, b, negative = embed(Pixels(size=8), image, image * 2 + 10, 255 - image)

    assert a @ b == pytest.approx(1, abs=1e-5)
    assert a @ negative == pytest.approx(-1, abs=1e-5)


def test_an_image_of_one_value_keeps_a_direction() -> None:
    """Its mean is all it has: a vector of zeros would stop the run."""
    draw = np.random.default_rng(2)
    grey, black = filled(90, 90, 90), filled(0, 0, 0)
    other = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)

    grey_vector, black_vector, other_vector = embed(Pixels(size=8), grey, black, other)

    np.testing.assert_allclose(grey_vector, black_vector)
    assert grey_vector @ other_vector == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [1, 5])
def test_one_small_pixel_is_the_mean_of_those_it_covers(size: int) -> None:
    """Shrinking by picking single pixels would make the floor depend on noise."""
    draw = np.random.default_rng(3)
    blocks = draw.integers(0, 246, (size, size, 3)).repeat(10, axis=0).repeat(10, axis=1)
    image = (blocks + draw.integers(0, 10, blocks.shape)).astype(np.uint8)
    means = image.reshape(size, 10, size, 10, 3).mean(axis=(1, 3)).ravel()
    centred = means - means.mean()

    (actual,) = embed(Pixels(size=size), image)

    assert actual @ centred / np.linalg.norm(centred) > 0.999
