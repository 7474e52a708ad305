"""Scikit-learn's digits."""

import numpy as np
import pytest

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.datasets.digits import Digits


@pytest.fixture
def context(tmp_path):
    return DataContext(folders=(), cache=tmp_path)


def test_every_class_is_divided_by_the_fraction(context):
    """A split by class would leave half of ten digits; the share is taken within each."""
    dataset = Digits(train_fraction=0.25).open(context)
    codes = dataset.labels.first()

    train = np.bincount(codes[dataset.rows(Split.TRAIN)])

    assert len(dataset) == 1797
    assert np.array_equal(train, np.bincount(codes) // 4)


def test_the_seed_chooses_the_digits(context):
    """Replicates need other divisions, and the same seed the same one."""
    one, again, other = (Digits(seed=s).open(context) for s in (0, 0, 1))

    assert np.array_equal(one.splits, again.splits)
    assert not np.array_equal(one.splits, other.splits)
    assert one.content_hash == again.content_hash != other.content_hash


def test_pixels_are_those_of_scikit_learn(context):
    """17 grey levels spread over a byte, each repeated scale times along both sides."""
    from sklearn.datasets import load_digits

    original = load_digits().images[5]

    actual = Digits(scale=3).open(context).images.read([5])[0]

    assert actual.shape == (24, 24, 3)
    assert np.array_equal(actual[::3, ::3, 0], np.rint(original * 255 / 16))
    assert np.array_equal(actual[2::3, 1::3, 2], actual[::3, ::3, 0])


def test_a_note_says_that_classes_are_shared(context):
    """Who compares with unseen-class data sets has to know."""
    assert "same in training and test" in Digits().open(context).notes[0]
