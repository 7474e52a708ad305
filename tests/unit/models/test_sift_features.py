"""Where an image is described, and how: keypoints, grids, and the size of the image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from unit.models.textures import texture, uniform

from cbir_bench.core.errors import SettingError
from cbir_bench.models.local.features import Grid, Keypoints, LocalFeatures, check_opencv

NEVER_RESIZED = {"min_size": 1, "max_size": 4096}
ONE_PLACE = 4096
"""A step that leaves one patch, in the middle."""


@dataclass
class SeenShapes:
    """Describes nothing, and remembers the shapes of what it is shown."""

    shapes: list = field(default_factory=list)

    def __call__(self, grey):
        self.shapes.append(grey.shape)
        return np.ones((1, 128), np.uint8)


def grey(seed=0, height=90, width=120):
    return cv2.cvtColor(texture(seed, height, width), cv2.COLOR_RGB2GRAY)


def in_the_middle(patch):
    return Grid(step=ONE_PLACE, patches=(patch,), max_features=100)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((100, 50), (128, 64)),
        ((200, 300), (200, 300)),
        ((2000, 1000), (512, 256)),
        ((1, 4000), (1, 512)),
        ((1, 1), (128, 128)),
    ],
)
def test_the_longer_side_ends_up_between_both_sizes(shape, expected) -> None:
    """Small photos have few keypoints, large ones cost minutes; the proportions stay."""
    seen = SeenShapes()
    features = LocalFeatures(detector=seen, min_size=128, max_size=512)

    features(texture(0, *shape))

    assert seen.shapes == [expected]


def test_the_strongest_keypoints_are_kept() -> None:
    """What is left of too many must not depend on the order of the rows."""
    points, descriptors = cv2.SIFT_create().detectAndCompute(grey(), None)
    responses = np.array([point.response for point in points])
    weakest = np.sort(responses)[-20]
    all_found, wanted = (
        set(map(bytes, descriptors[which].astype(np.uint8)))
        for which in (responses >= weakest, responses > weakest)
    )

    actual = Keypoints(max_features=20)(grey())

    assert len(points) > 40
    assert len(actual) == 20
    assert wanted <= set(map(bytes, actual)) <= all_found


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_uniform_image_has_no_features(value: int) -> None:
    """Nothing to see is not an error."""
    detectors = [Keypoints(max_features=50), in_the_middle(16)]

    found = [LocalFeatures(detector=d, **NEVER_RESIZED)(uniform(value)) for d in detectors]

    assert [one.shape for one in found] == [(0, 128), (0, 128)]


@pytest.mark.parametrize(
    ("step", "patches", "n"), [(8, (16,), 11 * 15), (10, (16, 24), 9 * 12 * 2)]
)
def test_a_grid_has_a_patch_of_each_size_at_every_step(step, patches, n) -> None:
    """So many, whatever the image shows."""
    actual = Grid(step=step, patches=patches, max_features=10_000)(grey())

    assert len(actual) == n


@pytest.mark.parametrize("patches", [(16,), (16, 20, 24)])
@pytest.mark.parametrize("max_features", [10, 100, 333])
def test_a_grid_is_coarser_where_there_would_be_too_many_patches(patches, max_features) -> None:
    """A large photo must not cost more than is allowed, nor lose its lower half."""
    n = len(Grid(step=2, patches=patches, max_features=max_features)(grey()))

    assert 0.4 * max_features < n <= max_features


def test_a_grid_is_centred() -> None:
    """Turned by half a turn, an image has its patches at the same places."""
    grid = Grid(step=30, patches=(16,), max_features=100)
    image = grey(height=91, width=121)

    upright, turned = grid(image), grid(np.ascontiguousarray(image[::-1, ::-1]))

    by_half_a_turn = turned[::-1].reshape(-1, 4, 4, 8)[:, ::-1, ::-1]
    by_half_a_turn = np.roll(by_half_a_turn, 4, axis=3).reshape(-1, 128)
    assert np.abs(upright.astype(int) - by_half_a_turn).max() <= 2


def test_patches_that_show_nothing_are_left_out() -> None:
    """Else the noise of a wall, scaled up to full length, would fill the vocabulary."""
    image = grey()
    image[:, :60] = 128 + np.random.default_rng(0).integers(0, 2, (90, 60), dtype=np.uint8)
    whole = len(Grid(step=6, patches=(12,), max_features=10_000)(grey()))

    n = len(Grid(step=6, patches=(12,), max_features=10_000)(image))

    assert 0.45 * whole < n < 0.65 * whole


@pytest.mark.parametrize("patch", [48, 64])
def test_a_patch_sees_its_own_surroundings(patch: int) -> None:
    """Sides are in pixels: what is at its edge matters, half as far again nothing does."""
    image = grey(height=241, width=241)
    beyond, edge = image.copy(), image.copy()
    reach = round(0.625 * patch) + 14  # cells fade into each other, and into the blur
    beyond[: 120 - reach] = beyond[:, 120 + reach :] = 0
    edge[:, round(120 + 0.45 * patch) : round(120 + 0.55 * patch)] = 0

    plain, far, near = (in_the_middle(patch)(one).astype(int) for one in (image, beyond, edge))

    assert np.abs(plain - far).max() <= 2
    assert np.abs(plain - near).max() > 30


def test_an_image_of_one_row_has_no_features() -> None:
    """OpenCV sees no gradients there and gives zeros, which have no direction."""
    grid = Grid(step=8, patches=(16,), max_features=100)

    actual = LocalFeatures(detector=grid, **NEVER_RESIZED)(texture(0, 1, 200))

    assert actual.shape == (0, 128)


def test_a_patch_of_twice_the_size_sees_the_same_in_an_image_of_twice_the_size() -> None:
    """It is described on the image as blurred as for its size, so the finer grain does not matter."""
    image = grey(height=121, width=121)
    double = cv2.resize(image, (242, 242), interpolation=cv2.INTER_CUBIC)
    grainy = double + np.random.default_rng(0).integers(0, 12, double.shape, dtype=np.uint8) // 2

    small, large = (
        in_the_middle(patch)(one)[0].astype(float) for patch, one in ((40, image), (80, grainy))
    )

    assert small @ large / np.linalg.norm(small) / np.linalg.norm(large) > 0.98


@pytest.mark.parametrize(
    "detector", [Keypoints(max_features=100), Grid(step=8, patches=(16,), max_features=500)]
)
def test_threads_may_share_it(detector) -> None:
    """OpenCV's own objects may not be; readers are threads."""
    features = LocalFeatures(detector=detector, min_size=128, max_size=512)
    images = [texture(seed) for seed in range(24)]
    expected = [features(image) for image in images]

    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(features, images))

    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_opencv_without_sift_is_refused(monkeypatch) -> None:
    """It was left out while the patent lasted."""
    monkeypatch.delattr(cv2, "SIFT_create")

    with pytest.raises(SettingError, match=r"has no SIFT. Run: pip install 'cbir-bench\[sift\]'"):
        check_opencv()


def test_patches_of_a_grid_are_upright() -> None:
    """The directions of gradients are the image's own: vertical edges are bins 0 and 4 of 8."""
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = 255

    energy = in_the_middle(32)(stripes)[0].astype(float).reshape(16, 8).sum(axis=0)

    assert energy[[0, 4]].sum() > 0.95 * energy.sum()


def test_opencv_starts_no_threads_of_its_own() -> None:
    """There are as many readers as cores already."""
    cv2.setNumThreads(2)

    LocalFeatures(detector=Keypoints(max_features=10), **NEVER_RESIZED)(texture(0))

    assert cv2.getNumThreads() == 1
