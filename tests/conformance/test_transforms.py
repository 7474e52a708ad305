"""Every registered transform, ours and other packages', keeps the promises of ``core.transform``."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from cbir_bench.core.component import create, field_types, help_texts
from cbir_bench.core.registry import TRANSFORMS

DIM = 160


def vectors(n=300, seed=0):
    """Return float32 vectors around a mean, which nobody may write to."""
    draw = np.random.default_rng(seed)
    rows = (draw.standard_normal((n, DIM)) * np.linspace(1, 0.1, DIM) + 0.3).astype(np.float32)
    rows.setflags(write=False)
    return rows


@pytest.fixture(params=TRANSFORMS.names())
def name(request):
    """The name of each registered transform."""
    return request.param


@pytest.fixture
def transform(name):
    """Each transform with its default options."""
    return create(TRANSFORMS, name, {})


def test_is_a_frozen_dataclass_with_help_for_every_option(name):
    """The fields are the sweep axes and the help that `list` prints."""
    component = TRANSFORMS.get(name)

    texts = help_texts(component)

    assert is_dataclass(component)
    assert component.__dataclass_params__.frozen
    assert sorted(texts) == sorted(f.name for f in fields(component))
    assert set(field_types(component)) == set(texts)


def test_gives_finite_float32_rows_for_vectors_that_it_never_saw(transform):
    """Indexes are built from them. What comes in is read-only."""
    learned = transform.fit(vectors())

    actual = transform.apply(vectors(50, seed=1), learned)

    assert actual.dtype == np.float32
    assert actual.shape[0] == 50
    assert 1 <= actual.shape[1] <= DIM
    assert actual.flags.c_contiguous
    assert np.isfinite(actual).all()


def test_what_was_learnt_survives_a_file(transform, tmp_path):
    """It is kept as safetensors and read again by the next run."""
    learned = transform.fit(vectors())

    save_file(dict(learned), tmp_path / "learned.safetensors")
    again = load_file(tmp_path / "learned.safetensors")

    assert sorted(again) == sorted(learned)
    np.testing.assert_array_equal(
        transform.apply(vectors(50, seed=1), again), transform.apply(vectors(50, seed=1), learned)
    )


def test_it_learns_exactly_if_it_says_so(transform):
    """Where it says that it learns nothing, no training split is asked for."""
    learned, otherwise = (transform.fit(vectors(seed=seed)) for seed in (0, 7))

    one, other = (transform.apply(vectors(50, seed=1), what) for what in (learned, otherwise))

    assert bool(learned) == transform.LEARNS
    assert np.array_equal(one, other) != transform.LEARNS


def test_learning_again_gives_the_same(transform):
    """What was learnt is addressed by what it was learnt from."""
    once, again = transform.fit(vectors()), transform.fit(vectors())

    for key, array in once.items():
        np.testing.assert_array_equal(array, again[key])


def test_the_order_of_training_vectors_decides_nothing(transform):
    """They are a set; readers may bring them in any order."""
    shuffled = np.random.default_rng(2).permutation(vectors())

    one, other = (
        transform.apply(vectors(50, seed=1), transform.fit(v)) for v in (vectors(), shuffled)
    )

    np.testing.assert_allclose(one, other, atol=1e-5)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.integers(0, 49), min_size=1, max_size=50))
def test_each_row_is_changed_alone(transform, rows):
    """What a test image becomes must not depend on other test images: that would leak."""
    learned = transform.fit(vectors())
    everything = transform.apply(vectors(50, seed=1), learned)

    actual = transform.apply(vectors(50, seed=1)[rows], learned)

    np.testing.assert_allclose(actual, everything[rows], rtol=1e-6, atol=1e-7)


def test_what_it_is_applied_to_teaches_it_nothing(transform):
    """Neither what it has learnt nor a later answer may change by being used."""
    learned = transform.fit(vectors())
    before = {key: array.copy() for key, array in learned.items()}
    first = transform.apply(vectors(50, seed=1), learned)

    transform.apply(100 * vectors(200, seed=3), learned)
    again = transform.apply(vectors(50, seed=1), learned)

    np.testing.assert_array_equal(first, again)
    for key, array in learned.items():
        np.testing.assert_array_equal(array, before[key])


def test_memory_mapped_vectors_will_do(transform, tmp_path):
    """Frozen vectors are files that may be larger than memory."""
    np.save(tmp_path / "v.npy", vectors())
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")

    actual = transform.apply(mapped, transform.fit(mapped))

    np.testing.assert_array_equal(actual, transform.apply(vectors(), transform.fit(vectors())))
