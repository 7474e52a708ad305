"""Preparation: pixel for pixel what timm's own evaluation transform gives."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform

from cbir_bench.models.preparation import Preparation

SIZES = [(1, 1), (1, 60), (60, 1), (3, 190), (33, 47), (64, 64), (63, 65), (231, 97), (300, 400)]
MEAN = (0.485, 0.456, 0.406)
FILL = (124, 116, 104)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_timm(image, size, crop_share, mode, interpolation):
    """Return what timm hands to its prefetcher, before it normalises."""
    transform = create_transform(
        input_size=(3, size, size),
        interpolation=interpolation,
        crop_pct=crop_share,
        crop_mode=mode,
        mean=MEAN,
        use_prefetcher=True,
    )
    return np.asarray(transform(Image.fromarray(image)))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize("crop_share", [0.875, 0.95, 1.0])
@pytest.mark.parametrize("size", [64, 37])
def test_the_pixels_are_timms(interpolation, mode, crop_share, size) -> None:
    """One pixel of shift costs pretrained weights accuracy without any error."""
    images = [noise(*shape, seed=i) for i, shape in enumerate(SIZES)]
    expected = [by_timm(image, size, crop_share, mode, interpolation) for image in images]

    actual = Preparation(size=size, crop_share=crop_share, mode=mode, interpolation=interpolation)(
        images
    )

    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("crop_share", [0.9, 1.0])
@pytest.mark.parametrize("size", [64, 37])
def test_borders_are_timms(crop_share, size) -> None:
    """Zero-shot models show the whole image, with the mean colour around it."""
    images = [
        noise(*shape, seed=i) for i, shape in enumerate(SIZES) if max(shape) < 60 * min(shape)
    ]
    expected = [by_timm(image, size, crop_share, "border", "bicubic") for image in images]

    actual = Preparation(size=size, crop_share=crop_share, mode="border", fill=FILL)(images)

    np.testing.assert_array_equal(actual, expected)


def test_a_line_is_still_an_image_between_borders() -> None:
    """Rounded to zero rows, resizing would stop the run."""
    (actual,) = Preparation(size=8, mode="border", fill=(1, 2, 3))(
        [np.full((1, 500, 3), 9, np.uint8)]
    )

    rows = [tuple(row) for row in actual[:, :, 0].T.tolist()]
    assert rows.count((9, 9, 9)) == 1
    assert rows.count((1, 2, 3)) == 7


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1)])
def test_a_very_elongated_image_keeps_its_centre(shape) -> None:
    """All of it resized to 64 rows would be 1.3 million columns; a full-size model would need gigabytes."""
    image = np.zeros((*shape, 3), np.uint8)
    image.reshape(-1, 3)[9_990:10_010] = 200

    (actual,) = Preparation(size=64)([image])

    assert actual.shape == (3, 64, 64)
    assert (actual == 200).all()


def test_an_image_of_the_right_size_is_not_touched() -> None:
    """Generated data sets are drawn at the model's size."""
    image = noise(48, 48)

    (actual,) = Preparation(size=48)([image])

    np.testing.assert_array_equal(actual, image.transpose(2, 0, 1))


def test_a_preparation_travels_and_needs_no_torch() -> None:
    """Readers in other processes would each pay two seconds and 300 MB for it."""
    payload = pickle.dumps(Preparation(size=5))
    code = (
        "import pickle, sys, numpy as np\n"
        f"prepare = pickle.loads({payload!r})\n"
        "assert prepare([np.zeros((7, 9, 3), np.uint8)]).shape == (1, 3, 5, 5)\n"
        "print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert len(payload) < 300
    assert {"torch", "timm", "torchvision"}.isdisjoint(loaded)
