"""What each transform makes of vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from cbir_bench.core.errors import SettingError
from cbir_bench.transforms.cut import Cut
from cbir_bench.transforms.l2 import UnitLength
from cbir_bench.transforms.pca import Pca
from cbir_bench.transforms.pca_whitening import PcaWhitening


def vectors(n, seed=0):
    """Return float32 vectors of 6 dimensions around a mean, with variances that differ."""
    draw = np.random.default_rng(seed)
    mixed = np.random.default_rng(9).standard_normal((6, 6))
    return (draw.standard_normal((n, 6)) @ mixed + 2).astype(np.float32)


def through(transform, given, training=None):
    """Return what a transform that has learnt makes of vectors."""
    return transform.apply(
        given, transform.fit(vectors(300, seed=1) if training is None else training)
    )


def unit(matrix):
    """Return rows of length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def reference(given, training, whiten, n_components=3):
    """Return what scikit-learn makes of vectors, with the sign of each dimension left open."""
    fitted = PCA(n_components, whiten=whiten, svd_solver="full").fit(training.astype(np.float64))
    return fitted.transform(given.astype(np.float64))


def same_but_for_signs(actual, expected):
    """Assert that each column equals the other's or its negative."""
    signs = np.sign(np.sum(actual * expected, axis=0))
    np.testing.assert_allclose(actual, expected * signs, rtol=1e-5, atol=1e-6)


def test_l2_makes_vectors_of_length_1():
    """With their direction."""
    given = vectors(20)

    actual = through(UnitLength(), given)

    np.testing.assert_allclose(actual, unit(given), rtol=1e-6)


def test_a_vector_of_zeros_stays():
    """NaN would hide which image it was; whoever keeps vectors refuses zeros by name."""
    given = np.array([[0, 0], [3, 4]], np.float32)

    actual = through(UnitLength(), given)

    np.testing.assert_allclose(actual, [[0, 0], [0.6, 0.8]], rtol=1e-6)


def test_very_short_and_long_vectors_have_a_direction():
    """Their squares leave float32's range."""
    given = np.array([[3e-30, 4e-30], [3e30, 4e30]], np.float32)

    actual = through(UnitLength(), given)

    np.testing.assert_allclose(actual, [[0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


def test_cut_keeps_the_first_dimensions():
    """Matryoshka's order, not that of variance."""
    given = vectors(20)

    plain, of_length_1 = through(Cut(dim=2, normalise=False), given), through(Cut(dim=2), given)

    np.testing.assert_array_equal(plain, given[:, :2])
    np.testing.assert_allclose(of_length_1, unit(given[:, :2]), rtol=1e-6)


def test_cut_to_all_dimensions_keeps_all():
    """The end of a sweep."""
    given = vectors(20)

    np.testing.assert_array_equal(through(Cut(dim=6, normalise=False), given), given)


def test_cut_to_more_dimensions_is_refused():
    """Nothing could fill them."""
    with pytest.raises(SettingError, match="dim = 7 dimensions, but the vectors have 6"):
        through(Cut(dim=7), vectors(20))


def test_pca_is_scikit_learns():
    """Learnt from other vectors than it is applied to."""
    given, training = vectors(20), vectors(300, seed=1)
    expected = reference(given, training, whiten=False)

    plain = through(Pca(dim=3, normalise=False), given)
    of_length_1 = through(Pca(dim=3), given)

    same_but_for_signs(plain, expected)
    same_but_for_signs(of_length_1, unit(expected))


def test_whitening_is_scikit_learns():
    """And the length is taken after it."""
    given, training = vectors(20), vectors(300, seed=1)
    expected = reference(given, training, whiten=True)

    plain = through(PcaWhitening(dim=3, normalise=False), given)
    of_length_1 = through(PcaWhitening(dim=3), given)

    same_but_for_signs(plain, expected)
    same_but_for_signs(of_length_1, unit(expected))


@pytest.mark.parametrize("power", [0.5, 0.25, 0.1])
def test_the_power_decides_how_far_variances_are_levelled(power):
    """Of the training vectors themselves, exactly: variance v becomes v ** (1 - 2 power)."""
    training = vectors(300, seed=1)
    transform = PcaWhitening(dim=6, power=power, normalise=False)
    learned = transform.fit(training)

    actual = np.cov(transform.apply(training, learned).T)

    expected = np.diag(learned["variances"] ** (1 - 2 * power))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


def test_whitening_never_looks_at_what_it_is_applied_to():
    """The covariance of test vectors is theirs, not the identity."""
    given = vectors(20)[:, ::-1].copy()

    actual = np.cov(through(PcaWhitening(dim=6, normalise=False), given).T)

    assert np.abs(actual - np.eye(6)).max() > 0.5
