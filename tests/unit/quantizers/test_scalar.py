"""Codecs that round single numbers: int4, bfloat16, cut, and what they are learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import quantizers_by_loops as oracle

from cbir_bench.core.component import setting_of
from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.quantizers.bfloat16 import BFloat16Quantizer
from cbir_bench.quantizers.codebooks import sampled
from cbir_bench.quantizers.cut import CutQuantizer
from cbir_bench.quantizers.int4 import Int4Quantizer
from cbir_bench.quantizers.int8 import Int8Quantizer
from cbir_bench.quantizers.packing import pack, unpack

matrices = arrays(
    np.float32, (9, 3), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
)


def through(quantizer, training, vectors):
    codebook = quantizer.fit(training)
    return quantizer.decode(codebook, quantizer.encode(codebook, vectors))


@given(matrices)
def test_int4_is_off_by_half_a_step_at_most(vectors):
    """16 levels from the smallest to the largest value of each dimension."""
    actual = through(Int4Quantizer(clip_percent=0.0), vectors, vectors)

    half = (vectors.max(0) - vectors.min(0)) / 15 / 2
    assert (np.abs(actual - vectors) <= half + 1e-4).all()


@pytest.mark.parametrize(
    ("quantizer", "n_levels"),
    [
        (Int4Quantizer(clip_percent=0.0), 16),
        (Int4Quantizer(clip_percent=0.0, bounds="symmetric"), 15),
        (Int8Quantizer(), 255),
        (Int8Quantizer(bounds="symmetric"), 255),
    ],
    ids=["int4", "int4 symmetric", "int8", "int8 symmetric"],
)
def test_values_become_the_nearest_of_evenly_spaced_levels(quantizer, n_levels):
    """The definition, value by value."""
    vectors = np.random.default_rng(3).normal(1, 2, (40, 3)).astype(np.float32)

    actual = through(quantizer, vectors, vectors)

    expected = np.empty_like(vectors)
    for j, column in enumerate(vectors.T.astype(float)):
        low, high = min(column), max(column)
        if quantizer.bounds == "symmetric":
            high = max(abs(low), abs(high))
            low = -high
        for i, value in enumerate(column):
            number = oracle.level(value, low, high, n_levels)
            expected[i, j] = oracle.value_of_level(number, low, high, n_levels)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@given(matrices)
def test_symmetric_int4_keeps_zero(vectors):
    """Sparse features stay sparse."""
    vectors = vectors.copy()
    vectors[0] = 0

    actual = through(Int4Quantizer(bounds="symmetric"), vectors, vectors)

    assert (actual[0] == 0).all()


def test_int4_clips_what_lies_outside():
    """Wrapping around in four bits would turn the largest value into the smallest."""
    training = np.array([[-1.0], [1.0]], np.float32)

    actual = through(
        Int4Quantizer(clip_percent=0.0), training, np.array([[50.0], [-50.0]], np.float32)
    )

    np.testing.assert_allclose(actual, [[1.0], [-1.0]], atol=1e-6)


@given(
    arrays(
        np.float32, (7,), elements=st.floats(width=32, min_value=-(2.0**126), max_value=2.0**126)
    )
)
def test_bfloat16_rounds_to_nearest_even(values):
    """8 significant bits, as hardware does it."""
    actual = through(BFloat16Quantizer(), values[None], values[None])[0]

    assert [oracle.bfloat16(float(v)) for v in values] == actual.tolist()


def test_bfloat16_rounds_ties_to_even():
    """Rounding them all up would make vectors longer on average."""
    halfway = np.array([[1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8]], np.float32)

    actual = through(BFloat16Quantizer(), halfway, halfway)

    np.testing.assert_array_equal(actual, [[1, 1 + 2.0**-6, -1]])


@given(matrices)
def test_bfloat16_is_off_by_one_part_in_256(vectors):
    """The bound that its help text states."""
    actual = through(BFloat16Quantizer(), vectors, vectors)

    assert (np.abs(actual - vectors) <= np.abs(vectors) * 2.0**-8).all()


def test_bfloat16_refuses_what_would_become_infinite():
    """An infinite vector is found by nobody, and crashes some libraries."""
    vectors = np.array([[3.4e38]], np.float32)

    with pytest.raises(InvalidArrayError, match=r"3.4e\+38, but bfloat16 ends at 3.38953e\+38"):
        through(BFloat16Quantizer(), vectors, vectors)


@given(
    n_bits=st.sampled_from([1, 2, 4, 8]),
    n_values=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_packed_numbers_are_one_long_binary_number(n_bits, n_values, seed):
    """The layout is written down, so that other programs can read codes."""
    values = np.random.default_rng(seed).integers(0, 2**n_bits, (3, n_values), np.uint8)

    actual = pack(values, n_bits)

    assert [row.tobytes() for row in actual] == [
        oracle.bits_side_by_side(row.tolist(), n_bits) for row in values
    ]
    np.testing.assert_array_equal(unpack(actual, n_values, n_bits), values)


def test_cut_keeps_the_first_dimensions_and_clears_the_others():
    """Matryoshka models put what matters first; what is cut off must not come back."""
    vectors = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)

    actual = through(CutQuantizer(dims=4), vectors, vectors)

    np.testing.assert_array_equal(actual[:, :4], vectors[:, :4])
    assert (actual[:, 4:] == 0).all()


def test_cut_to_more_dimensions_than_there_are_is_refused():
    """It would be another method under the same name."""
    with pytest.raises(SettingError, match=r"dims = 64 dimensions, but the vectors have 32\. Set"):
        CutQuantizer(dims=64).check(n=None, dim=32)


def test_bounds_of_a_sample_are_drawn_by_the_seed():
    """A large base need not be sorted, and a second run has to draw the same."""
    vectors = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)

    steps = [Int8Quantizer(n_training=50, seed=seed).fit(vectors).step for seed in (1, 1, 2)]

    np.testing.assert_array_equal(steps[0], steps[1])
    assert (steps[0] != steps[2]).all()


def test_a_sample_holds_different_rows_in_their_order():
    """A row that is drawn twice would count twice."""
    vectors = np.arange(100, dtype=np.float32)[:, None]

    actual = sampled(vectors, 30, seed=0)[:, 0]

    assert len(actual) == 30
    assert (np.diff(actual) > 0).all()


@pytest.mark.parametrize("n_training", [0, 100, 101])
def test_all_rows_are_no_copy(n_training):
    """A gigabyte of vectors is read where it lies."""
    vectors = np.ones((100, 2), np.float32)

    assert sampled(vectors, n_training, seed=0) is vectors


def test_options_that_came_later_change_no_key():
    """What was measured with int8 before it had them is still found."""
    assert setting_of("int8", Int8Quantizer()).options == '{"bounds":"minmax","clip_percent":0.0}'
