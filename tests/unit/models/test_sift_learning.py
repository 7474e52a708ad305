"""Learning a vocabulary: a fair sample in bounded memory, and how rare each word is."""

from __future__ import annotations

import math

import faiss
import numpy as np
import pytest
from oracles import bag_of_words_by_loops as loops
from oracles import principal_components as jacobi

from cbir_bench.core.errors import SettingError
from cbir_bench.models.local.learning import (
    Sample,
    k_means,
    principal_components,
    rarity,
)


def descriptors(row, n):
    """Return descriptors that can be told apart: the row of the image, and the place in it."""
    found = np.zeros((n, 128), np.uint8)
    found[:, 0], found[:, 1] = row, range(n)
    return found


def names(sample):
    return {(int(d[0]), int(d[1])) for d in sample.descriptors()}


def filled(rows, size=40, seed=0):
    sample = Sample(size, seed)
    for row in rows:
        sample.add(row, descriptors(row, 5 + row))
    return sample


def test_a_sample_does_not_depend_on_the_order_of_images() -> None:
    """Readers may finish in any order, and there may be any number of them."""
    rows = list(range(30))

    forwards, backwards = names(filled(rows)), names(filled(rows[::-1]))

    assert len(forwards) == 40
    assert forwards == backwards


def test_another_seed_draws_another_sample() -> None:
    """Else the spread over seeds could not be shown."""
    one, other = (names(filled(range(30), seed=seed)) for seed in (0, 1))

    assert len(one & other) < 20


def test_fewer_descriptors_than_wanted_are_all_taken() -> None:
    """None twice."""
    actual = names(filled(range(3)))

    assert actual == {(row, place) for row in range(3) for place in range(5 + row)}


def test_every_descriptor_is_equally_likely() -> None:
    """An image with nine times as many has nine times as many in the sample; places do not matter."""
    share, places = [], []
    for seed in range(300):
        sample = Sample(20, seed)
        sample.add(0, descriptors(0, 20))
        sample.add(1, descriptors(1, 180))
        drawn = names(sample)
        share.append(sum(row == 0 for row, _ in drawn) / 20)
        places += [place for row, place in drawn if row == 1]

    assert np.mean(share) == pytest.approx(0.1, abs=0.01)
    assert np.mean(places) == pytest.approx(179 / 2, abs=3)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    """The sample, as many again that wait, and one image."""
    sample = Sample(50, 0)
    held = []
    for row in range(200):
        sample.add(row, descriptors(row, 30))
        held.append(len(sample._kept) + sum(len(found) for _, found in sample._new))

    assert max(held) <= 50 + 50 + 30
    assert len(sample.descriptors()) == 50


def test_a_words_weight_is_the_log_of_how_rare_it_is() -> None:
    """0 where every image has it; a word that no image has counts as if one had it."""
    words_of_images = [{0, 1}, {0}, {0, 3}, {0, 1}]
    n_with = np.array([4, 2, 0, 1])

    actual = rarity(n_with, 4, smooth=False)

    np.testing.assert_allclose(actual, loops.inverse_document_frequency(words_of_images, 4))
    np.testing.assert_allclose(actual, [0, math.log(2), math.log(4), math.log(4)])


def test_smoothed_no_word_loses_all_its_weight() -> None:
    """With few words, every image has each of them, and nothing would be left to compare."""
    words_of_images = [{0, 1}, {0}, {0, 3}, {0, 1}]
    n_with = np.array([4, 2, 0, 1])

    actual = rarity(n_with, 4, smooth=True)

    expected = loops.smooth_inverse_document_frequency(words_of_images, 4)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert actual[0] == 1


def test_the_vocabulary_does_not_depend_on_threads() -> None:
    """It is part of a key that names no threads."""
    vectors = np.random.default_rng(0).random((3000, 128), dtype=np.float32)
    before = faiss.omp_get_max_threads()
    found = []
    for n_threads in (1, 2, 5):
        faiss.omp_set_num_threads(n_threads)
        found.append(k_means(vectors, 40, 10, 0))
    faiss.omp_set_num_threads(before)

    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_k_means_finds_clusters_and_iterates_as_often_as_asked() -> None:
    """More iterations come nearer; another seed starts elsewhere."""
    draw = np.random.default_rng(1)
    vectors = draw.random((2000, 16), dtype=np.float32)

    def error(centroids):
        return float((((vectors[:, None] - centroids) ** 2).sum(axis=2)).min(axis=1).sum())

    once, often, elsewhere = (
        k_means(vectors, 20, n, seed) for n, seed in ((1, 0), (30, 0), (30, 1))
    )

    assert once.shape == (20, 16)
    assert error(often) < 0.98 * error(once)
    assert not np.array_equal(often, elsewhere)


def test_principal_components_are_those_of_jacobis_rotations() -> None:
    """Largest variance first, from the mean; the sign makes each direction's largest number positive."""
    draw = np.random.default_rng(2)
    vectors = (draw.normal(size=(60, 5)) * [5, 1, 3, 0.2, 2] + 4).astype(np.float32)
    expected = [
        np.array(direction) * np.sign(max(direction, key=abs))
        for _, direction in jacobi.principal_components(vectors.tolist())
    ]

    actual = principal_components(vectors, 3)

    np.testing.assert_allclose(actual.mean, vectors.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(actual.directions.T, expected[:3], atol=1e-5)


def test_directions_in_which_nothing_varies_are_refused() -> None:
    """They would be the noise of the arithmetic."""
    vectors = np.random.default_rng(3).random((50, 8), dtype=np.float32)
    vectors[:, 5:] = 0.5

    with pytest.raises(SettingError, match="vary in 5 directions, fewer than pca_dim = 6"):
        principal_components(vectors, 6)
