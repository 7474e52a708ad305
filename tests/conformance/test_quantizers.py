"""Every registered quantiser keeps the promises of ``cbir_bench.core.quantizer``."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.component import create, help_texts
from cbir_bench.core.registry import QUANTIZERS

DIM = 16


@pytest.fixture(params=QUANTIZERS.names())
def name(request):
    return request.param


@pytest.fixture
def vectors():
    rows = np.random.default_rng(0).standard_normal((200, DIM)).astype(np.float32)
    rows = unit_rows(rows)
    rows.flags.writeable = False
    return rows


def test_every_option_has_a_help_text(name):
    """Options are the sweep axes: suites are explained from these."""
    component = QUANTIZERS.get(name)

    assert set(help_texts(component)) == {f.name for f in fields(component)}


def test_a_code_takes_the_bytes_it_says(name, vectors):
    """Bytes per vector is the axis that quality is plotted against."""
    quantizer = create(QUANTIZERS, name, {})

    codes = quantizer.encode(quantizer.fit(vectors), vectors)

    assert codes.nbytes == len(vectors) * quantizer.bytes_per_vector(DIM)


def test_decoded_vectors_are_float32_of_the_same_shape(name, vectors):
    """Indexes are built from them."""
    quantizer = create(QUANTIZERS, name, {})
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    assert actual.dtype == np.float32
    assert actual.shape == vectors.shape
    assert np.isfinite(actual).all()


def test_decoded_vectors_are_near_the_originals(name, vectors):
    """A codec that permutes or shifts dimensions would be plain wrong."""
    quantizer = create(QUANTIZERS, name, {})
    codebook = quantizer.fit(vectors)

    decoded = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    cosines = (unit_rows(decoded) * vectors).sum(1)
    assert cosines.min() > 0.7


def test_encoding_what_was_decoded_changes_nothing(name, vectors):
    """Otherwise a stored base would drift with every pass through the codec."""
    quantizer = create(QUANTIZERS, name, {})
    codebook = quantizer.fit(vectors)
    codes = quantizer.encode(codebook, vectors)

    again = quantizer.encode(codebook, quantizer.decode(codebook, codes))

    np.testing.assert_array_equal(again, codes)


def test_a_codebook_serves_vectors_that_it_was_not_fitted_on(name, vectors):
    """Queries and later items come after the training vectors, and may lie outside their range."""
    quantizer = create(QUANTIZERS, name, {})
    codebook = quantizer.fit(vectors[:50])

    actual = quantizer.decode(codebook, quantizer.encode(codebook, 3 * vectors[50:]))

    assert np.isfinite(actual).all()
