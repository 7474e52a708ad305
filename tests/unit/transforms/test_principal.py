"""Principal directions: exact, the same everywhere, learnt from vectors that need not fit into memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from oracles.principal_components import mean_of, principal_components
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.transforms import blocks
from cbir_bench.transforms.principal import principal_directions

SHAPES = [(200, 12), (13, 12), (12, 12), (7, 12)]


def vectors(n, dim, seed=0):
    """Return float32 vectors around a mean, with variances that differ."""
    draw = np.random.default_rng(seed)
    turned = np.linalg.qr(draw.standard_normal((dim, dim)))[0]
    rows = draw.standard_normal((n, dim)) * 0.7 ** np.arange(dim) @ turned
    return (rows + draw.standard_normal(dim)).astype(np.float32)


@pytest.mark.parametrize(("n", "dim"), [(40, 5), (4, 5)])
def test_directions_are_those_of_the_definition(n, dim):
    """Jacobi's rotations of a covariance matrix that loops have added up."""
    given = vectors(n, dim)
    n_directions = min(n - 1, dim)

    actual = principal_directions(given, n_directions)

    expected = principal_components(given)[:n_directions]
    np.testing.assert_allclose(actual.mean, mean_of(given), rtol=1e-12)
    np.testing.assert_allclose(actual.variances, [variance for variance, _ in expected], rtol=1e-9)
    cosines = [actual.directions[i] @ direction for i, (_, direction) in enumerate(expected)]
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-12)


@pytest.mark.parametrize(("n", "dim"), SHAPES)
def test_projections_are_those_of_scikit_learn(n, dim):
    """More vectors than dimensions, as many, and fewer take different ways."""
    given = vectors(n, dim)
    n_directions = min(n - 1, dim)
    other = PCA(n_directions, svd_solver="full").fit(given.astype(np.float64))

    actual = principal_directions(given, n_directions)

    signs = np.sign(np.sum(actual.directions * other.components_, axis=1))
    expected = other.transform(given.astype(np.float64)) * signs
    np.testing.assert_allclose(actual.project(given.astype(np.float64)), expected, atol=1e-9)
    np.testing.assert_allclose(actual.variances, other.explained_variance_, rtol=1e-9)


@pytest.mark.parametrize(("n", "dim"), SHAPES)
def test_directions_are_at_right_angles(n, dim):
    """Otherwise cosines would change even with all directions kept."""
    given = vectors(n, dim)

    actual = principal_directions(given, min(n - 1, dim)).directions

    np.testing.assert_allclose(actual @ actual.T, np.eye(len(actual)), atol=1e-12)


@pytest.mark.parametrize(("n", "dim"), SHAPES)
def test_signs_are_decided(n, dim):
    """Either sign is an eigenvector; frozen vectors of two runs must not differ by it."""
    actual = principal_directions(vectors(n, dim), min(n - 1, dim)).directions

    largest = np.take_along_axis(actual, np.abs(actual).argmax(1)[:, None], 1)
    assert (largest > 0).all()


def test_fewer_directions_are_the_first_of_more():
    """A sweep over dim compares the same directions."""
    given = vectors(200, 12)

    few, many = principal_directions(given, 3), principal_directions(given, 12)

    np.testing.assert_array_equal(few.directions, many.directions[:3])


def test_a_far_mean_costs_no_precision():
    """Squares are summed after the mean is taken off: a difference of large numbers would lose it all."""
    near = vectors(300, 6)
    far = near.astype(np.float64) * 2.0**-10 + 512

    actual = principal_directions(far.astype(np.float32), 2)

    expected = PCA(2, svd_solver="full").fit(far.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(actual.variances, expected.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(
        np.abs(np.sum(actual.directions * expected.components_, 1)), 1, atol=1e-9
    )


def test_blocks_change_nothing(monkeypatch):
    """A block of one row, of a few that do not divide the number of vectors, and all at once."""
    given = vectors(101, 12)
    whole = principal_directions(given, 12)

    for n_rows in (1, 7):
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 12 * n_rows)
        actual = principal_directions(given, 12)
        np.testing.assert_allclose(actual.directions, whole.directions, atol=1e-9)
        np.testing.assert_allclose(actual.variances, whole.variances, rtol=1e-9)


def test_memory_does_not_grow_with_the_number_of_vectors(tmp_path, monkeypatch):
    """A million training vectors of 2048 dimensions are 8 GB on disk."""
    np.save(tmp_path / "v.npy", vectors(100_000, 32))
    given = np.load(tmp_path / "v.npy", mmap_mode="r")
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1 << 20)

    tracemalloc.start()
    principal_directions(given, 8)
    actual = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert actual < 4 << 20  # as float64, the vectors take 25 MB


def test_few_long_vectors_need_no_covariance():
    """That of 2,000 dimensions takes 32 MB, that of 50,000 more than there is."""
    given = np.random.default_rng(0).standard_normal((4, 2000)).astype(np.float32)

    tracemalloc.start()
    principal_directions(given, 3)
    actual = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert actual < 4 << 20


def test_threads_change_nothing():
    """Laptops and servers have to agree on what was measured."""
    given = vectors(2000, 160)

    with threadpool_limits(1):
        one = principal_directions(given, 20)
    with threadpool_limits(2):
        two = principal_directions(given, 20)

    np.testing.assert_allclose(one.directions, two.directions, atol=1e-6)


def test_vectors_are_not_changed():
    """They are a memory-mapped file."""
    given = vectors(30, 4)
    given.setflags(write=False)

    actual = principal_directions(given, 2)

    assert len(actual.directions) == 2


@pytest.mark.parametrize(
    ("given", "dim", "words"),
    [
        (vectors(100, 12), 13, "vectors have 12 dimensions. Set dim to 12 or less"),
        (
            vectors(8, 12),
            8,
            "8 training vectors vary in 7 directions at most. Set dim to 7 or less",
        ),
        (
            vectors(1, 12),
            1,
            "1 training vectors vary in 0 directions at most. Give the training split",
        ),
    ],
)
def test_more_directions_than_there_can_be_are_refused(given, dim, words):
    """The message says how many there can be."""
    with pytest.raises(SettingError, match=words):
        principal_directions(given, dim)


def flat(n, dim, rank):
    """Return vectors that vary in a few directions alone, to float32 precision."""
    draw = np.random.default_rng(3)
    rows = draw.standard_normal((n, rank)) @ draw.standard_normal((rank, dim))
    return (rows + draw.standard_normal(dim)).astype(np.float32)


@pytest.mark.parametrize("n", [500, 20])
def test_a_direction_without_variance_is_refused(n):
    """Rounding would choose it, and whitening would make that noise as loud as the rest."""
    with pytest.raises(SettingError, match=r"vary in 6 directions: eigenvalue 7 of 20.* is 0"):
        principal_directions(flat(n, 20, rank=6), 7)


@pytest.mark.parametrize("n", [500, 20])
def test_directions_with_variance_are_not(n):
    """Rounding is told from variance."""
    actual = principal_directions(flat(n, 20, rank=6), 6)

    assert actual.variances.min() > 0.01


def test_a_far_mean_rounds_more_away():
    """Float32 keeps 24 bits of the whole number, not of its distance from the mean."""
    with pytest.raises(SettingError, match="vary in 6 directions"):
        principal_directions(flat(500, 20, rank=6) + np.float32(3000), 7)


def test_small_variances_are_variances():
    """A millionth of the largest deviation is far above what float32 rounds away."""
    draw = np.random.default_rng(0)
    given = (draw.standard_normal((500, 3)) * [1, 1e-3, 1e-6]).astype(np.float32)

    actual = principal_directions(given, 3)

    np.testing.assert_allclose(np.sqrt(actual.variances), [1, 1e-3, 1e-6], rtol=0.1)


def test_equal_vectors_have_no_directions():
    """A dead network gives the same vector for every image."""
    with pytest.raises(SettingError, match="all the same"):
        principal_directions(np.ones((10, 4), np.float32), 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [100, 5])
def test_nan_is_refused_with_its_row(n, bad, monkeypatch):
    """One would make every direction NaN."""
    given = vectors(n, 12)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 12 * 2)
    given[3, 5] = bad

    with pytest.raises(InvalidArrayError, match="Row 3 of the training vectors"):
        principal_directions(given, 2)


def test_other_vectors_than_were_learnt_from_are_refused():
    """Those of another model, say."""
    principal = principal_directions(vectors(30, 4), 2)

    with pytest.raises(SettingError, match="learnt from vectors of 4 dimensions, but these have 5"):
        principal.project(np.ones((3, 5)))
