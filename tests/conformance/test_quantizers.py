"""Every registered quantiser keeps the promises of ``cbir_bench.core.quantizer``."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.component import create, help_texts
from cbir_bench.core.registry import QUANTIZERS

DIM = 96
"""More than the dimensions that are kept by default, divisible by the parts, and no power of two."""

OPTIONS = {
    "cut": ({"store": "float16"}, {"store": "int8", "dims": 7}),
    "pca": ({"store": "float16"}, {"store": "int8", "dims": 7}, {"n_training": 100}),
    "binary": ({"centre": "mean"}, {"centre": "median", "rotation": True}, {"n_training": 100}),
    "int4": ({"bounds": "symmetric"}, {"clip_percent": 0.0, "n_training": 100}),
    "int8": ({"bounds": "symmetric"}, {"n_training": 100}),
    "pq": ({"n_bits": 5, "m": 3}, {"n_training": 300}),
    "opq": ({"n_bits": 5, "m": 3, "n_rounds": 2},),
    "rabitq": ({"n_bits": 2}, {"n_bits": 4}, {"n_bits": 8}),
}
"""Options that lead to other code than the defaults, by name; new components need no line here."""


def made(name, options):
    if name == "opq":
        options = {"n_rounds": 2, **options}  # what takes its time
    return create(QUANTIZERS, name, options)


@pytest.fixture(params=QUANTIZERS.names())
def name(request):
    return request.param


@pytest.fixture(
    params=[
        (name, options) for name in QUANTIZERS.names() for options in ({}, *OPTIONS.get(name, ()))
    ],
    ids=lambda case: f"{case[0]}{case[1] or ''}",
)
def quantizer(request):
    return made(*request.param)


def vectors_like(n, seed):
    """Return unit rows whose first dimensions hold the most, about a mean that is not 0."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, DIM)) * np.arange(1, DIM + 1) ** -0.7 + 0.02
    rows = unit_rows(rows.astype(np.float32))
    rows.flags.writeable = False
    return rows


@pytest.fixture(scope="module")
def vectors():
    return vectors_like(500, seed=0)


def test_every_option_has_a_help_text(name):
    """Options are the sweep axes: suites are explained from these."""
    component = QUANTIZERS.get(name)

    assert set(help_texts(component)) == {f.name for f in fields(component)}


def test_what_it_needs_is_said_before_there_are_vectors(quantizer):
    """A suite is checked before data is opened, so that nothing may have to be known."""
    quantizer.check(n=None, dim=None)

    quantizer.check(n=500, dim=DIM)


def test_a_code_takes_the_bytes_it_says(quantizer, vectors):
    """Bytes per vector is the axis that quality is plotted against."""
    codes = quantizer.encode(quantizer.fit(vectors), vectors)

    assert codes.nbytes == len(vectors) * quantizer.bytes_per_vector(DIM)
    assert len(codes) == len(vectors)


def test_an_odd_number_of_dimensions_takes_the_bytes_it_says(name):
    """Codes are padded to bytes, and padding is counted."""
    vectors = np.ascontiguousarray(vectors_like(300, seed=1)[:, :33])
    options = {"pq": {"m": 3}, "opq": {"m": 3}, "pca": {"dims": 5}, "cut": {"dims": 5}}.get(
        name, {}
    )
    quantizer = made(name, options)
    codebook = quantizer.fit(vectors)

    codes = quantizer.encode(codebook, vectors)

    assert codes.nbytes == len(vectors) * quantizer.bytes_per_vector(33)
    assert quantizer.decode(codebook, codes).shape == vectors.shape


def test_a_codebook_takes_the_bytes_that_say_so(quantizer, vectors):
    """It is kept beside the codes, and weighs more than they do where there are few."""
    actual = quantizer.codebook_bytes(quantizer.fit(vectors))

    assert isinstance(actual, int)
    assert 0 <= actual <= 4 * DIM * (DIM + 2**8 + 4)


def test_decoded_vectors_are_float32_of_the_same_shape(quantizer, vectors):
    """Indexes are built from them."""
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    assert actual.dtype == np.float32
    assert actual.shape == vectors.shape
    assert actual.flags.c_contiguous
    assert np.isfinite(actual).all()


def test_decoded_vectors_are_near_the_originals(quantizer, vectors):
    """A codec that permutes or shifts dimensions would be plain wrong."""
    codebook = quantizer.fit(vectors)

    decoded = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    cosines = unit_rows(decoded) @ vectors.T
    own, others = np.diag(cosines), cosines.mean(1)
    assert own.mean() > 0.55  # signs alone, where the first dimensions hold the most
    assert (own > others + 0.2).all()


def test_what_was_decoded_passes_again_unchanged(quantizer, vectors):
    """Otherwise a stored base would drift with every pass through the codec."""
    codebook = quantizer.fit(vectors)
    decoded = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    again = quantizer.decode(codebook, quantizer.encode(codebook, decoded))

    np.testing.assert_allclose(again, decoded, atol=2e-6)


def test_the_same_vectors_give_the_same_codes(quantizer, vectors):
    """A run that is repeated has to measure the same thing."""
    first = quantizer.encode(quantizer.fit(vectors), vectors)

    again = quantizer.encode(quantizer.fit(vectors.copy()), vectors)

    np.testing.assert_array_equal(again, first)


def test_a_code_does_not_depend_on_the_other_vectors(quantizer, vectors):
    """Items that come one by one get the code that they would get together."""
    codebook = quantizer.fit(vectors)
    together = quantizer.decode(codebook, quantizer.encode(codebook, vectors[:20]))

    alone = [
        quantizer.decode(codebook, quantizer.encode(codebook, vectors[i : i + 1]))[0]
        for i in range(20)
    ]

    # A product of one row and one of many rows differ in the last bit, which may be what a code turns on.
    np.testing.assert_allclose(np.array(alone), together, atol=1e-3)


def test_a_codebook_serves_vectors_that_it_was_not_fitted_on(quantizer, vectors):
    """Later items come after the fitted vectors, and may lie outside their range."""
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, 3 * vectors_like(50, seed=9)))

    assert np.isfinite(actual).all()


def test_vectors_that_are_all_the_same_are_kept(quantizer):
    """A data set of duplicates has no spread to divide by."""
    vectors = np.tile(vectors_like(1, seed=2), (300, 1))
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    np.testing.assert_allclose(actual, np.tile(actual[:1], (300, 1)), atol=2e-3)
