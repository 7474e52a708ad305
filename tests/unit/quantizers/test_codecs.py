"""Codecs against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.quantizers.float16 import Float16Quantizer
from cbir_bench.quantizers.int8 import Int8Quantizer
from cbir_bench.quantizers.none import NoQuantizer

matrices = arrays(
    np.float32, (9, 3), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
)


def through(quantizer, training, vectors):
    codebook = quantizer.fit(training)
    return quantizer.decode(codebook, quantizer.encode(codebook, vectors))


@given(matrices)
def test_int8_is_off_by_half_a_step_at_most(vectors):
    """255 levels from the smallest to the largest value of each dimension."""
    actual = through(Int8Quantizer(), vectors, vectors)

    half = (vectors.max(0) - vectors.min(0)) / 254 / 2
    assert (np.abs(actual - vectors) <= half + 1e-4).all()


@given(matrices)
def test_symmetric_bounds_keep_zero(vectors):
    """Sparse features stay sparse."""
    vectors = vectors.copy()
    vectors[0] = 0

    actual = through(Int8Quantizer(bounds="symmetric"), vectors, vectors)

    assert (actual[0] == 0).all()


def test_int8_bounds_belong_to_a_dimension():
    """One range for all dimensions would leave small ones no levels."""
    random = np.random.default_rng(0)
    vectors = (random.standard_normal((500, 2)) * [100, 0.01]).astype(np.float32)

    actual = through(Int8Quantizer(), vectors, vectors)

    errors = np.abs(actual - vectors).max(0) / vectors.std(0)
    assert (errors < 0.02).all()


def test_a_dimension_that_never_varies_is_kept():
    """A step of 0 would divide by 0."""
    vectors = np.array([[1, 7.5], [2, 7.5], [3, 7.5]], np.float32)

    actual = through(Int8Quantizer(), vectors, vectors)

    np.testing.assert_array_equal(actual[:, 1], vectors[:, 1])


def test_values_outside_the_bounds_are_clipped_to_them():
    """Wrapping around would turn the largest value into the smallest."""
    training = np.array([[-1.0], [1.0]], np.float32)

    actual = through(Int8Quantizer(), training, np.array([[50.0], [-50.0]], np.float32))

    np.testing.assert_allclose(actual, [[1.0], [-1.0]])


def test_clipping_spends_the_levels_where_the_values_are():
    """One outlier would otherwise widen every step."""
    vectors = np.random.default_rng(0).standard_normal((2000, 1)).astype(np.float32)
    vectors[0] = 1000

    errors = {
        clip: np.median(
            np.abs(through(Int8Quantizer(clip_percent=clip), vectors, vectors) - vectors)
        )
        for clip in (0.0, 0.5)
    }

    assert errors[0.5] < errors[0.0] / 50


@given(matrices)
def test_float16_rounds_to_nearest(vectors):
    """11 significant bits."""
    actual = through(Float16Quantizer(), vectors, vectors)

    assert (np.abs(actual - vectors) <= np.abs(vectors) * 2.0**-11 + 1e-7).all()


def test_float16_refuses_what_would_become_infinite():
    """An infinite vector is found by nobody, and crashes some libraries."""
    vectors = np.array([[70_000.0]], np.float32)

    with pytest.raises(InvalidArrayError, match=r"70000, but float16 ends at 65504"):
        through(Float16Quantizer(), vectors, vectors)


def test_no_quantizer_copies_nothing():
    """A gigabyte of base vectors passes through."""
    vectors = np.ones((2, 2), np.float32)

    assert through(NoQuantizer(), vectors, vectors) is vectors
