"""Visual words: the exact nearest centroids, and what an image's vector is made of."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from oracles import bag_of_words_by_loops as loops

from cbir_bench.models.local import encoding, words


def unit(seed, n, dim=128):
    values = np.random.default_rng(seed).normal(size=(n, dim))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 3])
def test_of_centroids_that_float32_cannot_tell_apart_the_nearest_is_taken(n: int) -> None:
    """A word that depends on threads or batch would make two runs differ."""
    draw = np.random.default_rng(0)
    one = unit(1, 1)
    centroids = one + draw.integers(-1, 2, (300, 128)).astype(np.float32) * np.spacing(one)
    vectors = unit(2, 60)
    apart = vectors[:, None].astype(np.float64) - centroids
    exact = np.argsort((apart**2).sum(axis=2), axis=1, kind="stable")[:, :n]

    actual = words.nearest(vectors, centroids, n)

    np.testing.assert_array_equal(actual, exact)
    assert (faiss.knn(vectors, centroids, n)[1] != exact).any()  # or this test would show nothing


def test_of_equal_centroids_the_first_is_taken() -> None:
    """K-means may return a centroid twice."""
    centroids = unit(3, 5)[[0, 1, 1, 2, 1]]

    actual = words.nearest(centroids[[4, 2]], centroids, 3)

    assert actual.tolist() == [[1, 2, 4], [1, 2, 4]]


@pytest.mark.parametrize("n", [1, 2, 7])
def test_there_may_be_as_many_nearest_as_centroids(n: int) -> None:
    """There is no next one then that could be too near."""
    vectors, centroids = unit(4, 30), unit(5, 7)

    actual = words.nearest(vectors, centroids, n)

    assert actual.tolist() == [loops.nearest_words(v, centroids, n) for v in vectors]


def test_words_do_not_depend_on_what_is_looked_up_beside() -> None:
    """To the bit: faiss computes few vectors in another way than many."""
    vectors, centroids = unit(6, 100), unit(7, 50)

    together = words.assign(vectors, centroids, 3, 0.2)
    alone = [words.assign(one[None], centroids, 3, 0.2) for one in vectors]

    np.testing.assert_array_equal(together.words, np.concatenate([a.words for a in alone]))
    np.testing.assert_array_equal(together.weights, np.concatenate([a.weights for a in alone]))


def test_faiss_keeps_its_threads() -> None:
    """A reader limits itself, not whoever searches in the same thread afterwards."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with words.one_thread():
            within = faiss.omp_get_max_threads()
        after = faiss.omp_get_max_threads()
    finally:
        faiss.omp_set_num_threads(before)

    assert (within, after) == (1, 3)


@pytest.mark.parametrize("softness", [0.05, 0.4])
def test_each_descriptor_is_shared_among_its_nearest_words(softness: float) -> None:
    """By a Gaussian of their distance (Philbin 2008); a descriptor counts as much as any other."""
    vectors, centroids = unit(8, 20), unit(9, 12)
    expected = [loops.soft_words(v, centroids, 4, softness) for v in vectors]

    actual = words.assign(vectors, centroids, 4, softness)

    np.testing.assert_array_equal(actual.words, [[w for w, _ in one] for one in expected])
    np.testing.assert_allclose(actual.weights, [[x for _, x in one] for one in expected], rtol=1e-6)


def test_far_from_every_word_the_weights_are_still_numbers() -> None:
    """exp(-d^2 / sigma^2) of all words would be 0, and 0 / 0 no number."""
    actual = words.assign(unit(10, 4), unit(11, 9), 3, 0.001)

    np.testing.assert_allclose(actual.weights, [[1, 0, 0]] * 4, atol=1e-9)


@pytest.mark.parametrize(("root", "one"), [(True, loops.root_sift), (False, loops.plain_sift)])
def test_descriptors_have_length_one(root, one) -> None:
    """With or without the square root, so that one softness fits both."""
    plain = np.random.default_rng(12).integers(0, 256, (9, 128), dtype=np.uint8)

    actual = words.unit_descriptors(plain, root=root)

    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, [one(row) for row in plain], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("how", ["bow", "vlad"])
@pytest.mark.parametrize("n_nearest", [1, 3])
@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("normalise_words", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_vector_is_what_the_papers_say(
    how, n_nearest, power, normalise_words, weighted
) -> None:
    """Every option against loops that were written from the papers, and share nothing with the package."""
    vectors, centroids = unit(13, 40, dim=8), unit(14, 11, dim=8)
    idf = np.random.default_rng(15).random(11).astype(np.float32) if weighted else None
    naive = (loops.bag_of_words if how == "bow" else loops.vlad)(vectors, centroids, n_nearest, 0.3)
    expected = loops.normalised(naive, power, normalise_words=normalise_words, idf=idf)

    assigned = words.assign(vectors, centroids, n_nearest, 0.3)
    parts = (
        encoding.word_counts(assigned, 11)
        if how == "bow"
        else encoding.residual_sums(assigned, vectors, centroids)
    )
    actual = encoding.unit_vector(parts, power=power, normalise_words=normalise_words, idf=idf)

    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_words_that_every_training_image_has_leave_nothing() -> None:
    """Their idf is 0. The image is then like all those without any feature, and like no other."""
    parts = np.array([[3.0], [0.0], [1.0]])

    actual = encoding.unit_vector(
        parts, power=1, normalise_words=False, idf=np.array([0, 1, 0], np.float32)
    )

    np.testing.assert_allclose(actual, [-(3**-0.5)] * 3)
