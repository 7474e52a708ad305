"""Batches of classes and random changes of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils import common_functions

from cbir_bench.training.augment import augment
from cbir_bench.training.classes import Batches
from cbir_bench.training.recipe import TrainingRecipe

BLOCK = 64
CLASSES = np.repeat(np.arange(9), 5)
RECIPE = TrainingRecipe(steps=50, classes_per_batch=4, images_per_class=3)


def drawn(classes, recipe):
    """Return the batches of all steps: ``(steps, batch_size)``."""
    batches = Batches(classes, recipe)
    return np.stack([batches.of(step) for step in range(recipe.steps)])


def test_every_batch_has_the_classes_and_images_it_should() -> None:
    """Losses over pairs need both: several classes, and several images of each."""
    actual = CLASSES[drawn(CLASSES, RECIPE)]

    assert actual.shape == (50, 12)
    for batch in actual:
        names, counts = np.unique(batch, return_counts=True)
        assert (len(names), set(counts)) == (4, {3})


def test_images_of_a_class_differ_where_there_are_enough() -> None:
    """A pair of an image with itself teaches nothing."""
    actual = drawn(CLASSES, RECIPE)

    assert all(len(set(batch)) == 12 for batch in actual.tolist())


def test_a_small_class_is_drawn_with_repetition() -> None:
    """Two images must do where three are asked for."""
    actual = drawn(np.repeat(np.arange(4), 2), RECIPE)

    assert actual.shape == (50, 12)


def test_every_image_is_used() -> None:
    """Over many batches nothing is left out."""
    assert set(drawn(CLASSES, RECIPE).ravel()) == set(range(len(CLASSES)))


def test_the_seed_decides_the_batches_and_the_library_is_left_alone() -> None:
    """The sampler draws from a global of its library, which others use too."""
    before = common_functions.NUMPY_RANDOM

    first, same = (drawn(CLASSES, RECIPE) for _ in range(2))
    other = drawn(
        CLASSES, TrainingRecipe(steps=50, classes_per_batch=4, images_per_class=3, seed=1)
    )

    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert common_functions.NUMPY_RANDOM is before


def test_any_step_can_be_asked_for_first() -> None:
    """A resumed training goes on with the batch that would have been next."""
    straight = Batches(CLASSES, RECIPE)
    expected = [straight.of(step) for step in range(3 * BLOCK)]

    actual = Batches(CLASSES, RECIPE).of(2 * BLOCK + 5)

    np.testing.assert_array_equal(actual, expected[2 * BLOCK + 5])
    assert (expected[5] != expected[BLOCK + 5]).any()


def test_the_number_of_steps_does_not_change_the_batches() -> None:
    """A longer training differs from a shorter one by its schedule alone, and needs no more memory."""
    long = TrainingRecipe(steps=10_000_000, classes_per_batch=4, images_per_class=3)

    actual = Batches(CLASSES, long).of(49)

    np.testing.assert_array_equal(actual, drawn(CLASSES, RECIPE)[49])


def changed(pixels, **options):
    return augment(pixels, TrainingRecipe(**options), torch.Generator().manual_seed(0))


IMAGES = torch.randint(
    0, 256, (40, 3, 8, 10), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
)


def test_without_options_images_stay_as_they_are() -> None:
    """The default trains on what evaluation will show."""
    torch.testing.assert_close(changed(IMAGES), IMAGES.float())


def test_flip_mirrors_about_half_of_the_images() -> None:
    """Left and right, never top and bottom."""
    actual = changed(IMAGES, flip=True)

    mirrored = [
        torch.allclose(a, i.float().flip(2), atol=1e-2) for a, i in zip(actual, IMAGES, strict=True)
    ]
    same = [torch.allclose(a, i.float(), atol=1e-2) for a, i in zip(actual, IMAGES, strict=True)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True))
    assert 10 < sum(mirrored) < 30


@pytest.mark.parametrize("options", [{"zoom": 0.2}, {"colour": 0.5}])
def test_changes_stay_within_the_range_of_pixels(options) -> None:
    """The network's normalisation expects 0 to 255."""
    actual = changed(IMAGES, **options)

    assert actual.min() >= 0
    assert actual.max() <= 255
    assert abs(actual - IMAGES.float()).mean() > 1


def test_zoom_moves_by_at_most_its_share() -> None:
    """A bright spot in the middle stays within scale plus shift of it."""
    spot = torch.zeros(200, 3, 64, 64, dtype=torch.uint8)
    spot[:, :, 30:34, 30:34] = 255

    actual = changed(spot, zoom=0.1).sum(dim=1)

    weight = actual.sum(dim=(1, 2))
    places = torch.arange(64.0)
    centre = (actual.sum(dim=1) @ places / weight - 31.5) / 64
    assert abs(centre).max() < 0.1 / 0.9 + 0.01
    assert abs(centre).max() > 0.05


def test_zoom_alone_never_mirrors() -> None:
    """Some things read from left to right only."""
    half = torch.zeros(50, 3, 8, 8, dtype=torch.uint8)
    half[..., :4] = 200

    actual = changed(half, zoom=0.1)

    assert (actual[..., 0] > actual[..., -1]).all()


def test_colour_changes_channels_on_their_own() -> None:
    """Lamps differ in tint, not in brightness alone."""
    grey = torch.full((50, 3, 2, 2), 100, dtype=torch.uint8)

    actual = changed(grey, colour=0.3)[:, :, 0, 0]

    assert 70 <= actual.min() < 80
    assert 120 < actual.max() <= 130
    assert (actual.std(dim=1) > 1).float().mean() > 0.9
