"""Codecs that learn directions, rotations and centroids, or draw a rotation."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from oracles import quantizers_by_loops as oracle

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.errors import SettingError
from cbir_bench.quantizers.binary import BinaryQuantizer
from cbir_bench.quantizers.opq import OpqQuantizer
from cbir_bench.quantizers.pca import PcaQuantizer
from cbir_bench.quantizers.pq import PqQuantizer
from cbir_bench.quantizers.rabitq import RabitqQuantizer
from cbir_bench.quantizers.rotation import random_rotation


def correlated(n, dim, seed=0):
    """Return vectors with few strong directions, across the axes, about a mean that is not 0."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((dim, dim)) * np.arange(1, dim + 1)[:, None] ** -1.0
    return (random.standard_normal((n, dim)) @ mixing + 0.5).astype(np.float32)


def through(quantizer, vectors):
    codebook = quantizer.fit(vectors)
    return quantizer.decode(codebook, quantizer.encode(codebook, vectors))


def mean_squared_error(quantizer, vectors):
    return float(((through(quantizer, vectors) - vectors) ** 2).sum(1).mean())


@pytest.mark.parametrize(("m", "n_bits"), [(4, 4), (2, 8), (3, 5), (1, 3)])
def test_pq_codes_are_the_nearest_centroids(m, n_bits):
    """The definition, part by part; ties and rounding may not cost more than themselves."""
    vectors = correlated(300, 12)
    quantizer = PqQuantizer(m=m, n_bits=n_bits)
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    for row, decoded in zip(vectors[:40], actual[:40], strict=True):
        for part, centroids, chosen in zip(
            np.split(row, m), codebook.centroids, np.split(decoded, m), strict=True
        ):
            assert chosen.tolist() in centroids.tolist()
            best = min(oracle.nearest(part.tolist(), centroids.tolist()))
            assert oracle.nearest(part.tolist(), [chosen.tolist()])[0] <= best + 1e-4


def test_pq_numbers_lie_side_by_side():
    """``n_bits`` of 5 do not fill bytes, and three parts take 15 bits."""
    vectors = correlated(300, 12)
    quantizer = PqQuantizer(m=3, n_bits=5)
    codebook = quantizer.fit(vectors)

    codes = quantizer.encode(codebook, vectors[:40])

    for row, code in zip(vectors, codes, strict=False):
        numbers = [
            int(np.argmin(oracle.nearest(part.tolist(), centroids.tolist())))
            for part, centroids in zip(np.split(row, 3), codebook.centroids, strict=True)
        ]
        assert code.tobytes() == oracle.bits_side_by_side(numbers, 5)


def test_pq_centroids_are_the_means_of_what_they_stand_for():
    """What k-means ends in, nearly, after enough rounds."""
    vectors = correlated(400, 4)
    quantizer = PqQuantizer(m=1, n_bits=3, n_iterations=100)
    centroids = quantizer.fit(vectors).centroids[0]

    codes = quantizer.encode(quantizer.fit(vectors), vectors)[:, 0]

    means = np.array([vectors[codes == i].mean(0) for i in range(8)])
    np.testing.assert_allclose(centroids, means, atol=0.02)


def test_opq_is_not_worse_than_pq():
    """The rotation is learnt for that alone; here strong directions lie across the parts."""
    vectors = correlated(1000, 32)

    actual = mean_squared_error(OpqQuantizer(m=8, n_bits=4), vectors)

    assert actual < mean_squared_error(PqQuantizer(m=8, n_bits=4), vectors)


def test_opq_rotates_and_does_nothing_else():
    """Lengths and angles have to survive, or similarities would be others."""
    rotation = OpqQuantizer(m=8, n_bits=4, n_rounds=3).fit(correlated(300, 32)).rotation

    np.testing.assert_allclose(rotation @ rotation.T, np.eye(32), atol=1e-5)


@pytest.mark.parametrize("quantizer", [PqQuantizer, OpqQuantizer])
def test_parts_that_do_not_come_out_even_are_refused(quantizer):
    """The message names those that do."""
    with pytest.raises(SettingError, match=r"m = 5 parts, .* 12 dimensions. .* 1, 2, 3, 4, 6, 12"):
        quantizer(m=5).check(n=None, dim=12)


@pytest.mark.parametrize("quantizer", [PqQuantizer, OpqQuantizer])
def test_more_centroids_than_vectors_are_refused(quantizer):
    """faiss would stop with a message of its own, long after the suite was accepted."""
    with pytest.raises(SettingError, match=r"256 centroids, but there are 200 .* n_bits to 7 or"):
        quantizer(n_bits=8).check(n=200, dim=None)


def test_the_sample_counts_where_it_is_smaller():
    """A base of a million does not help if 100 are looked at."""
    with pytest.raises(SettingError, match="there are 100 vectors"):
        PqQuantizer(n_bits=8, n_training=100).check(n=1_000_000, dim=None)


def test_what_is_refused_early_is_refused_late_too():
    """Embeddings may have another dimension than was thought."""
    with pytest.raises(SettingError, match="does not divide"):
        PqQuantizer(m=5, n_bits=2).fit(correlated(20, 12))


def test_pca_loses_what_the_last_directions_hold():
    """The error is the sum of the variances that were left out: nothing linear loses less."""
    vectors = correlated(500, 20)
    variances = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False) ** 2 / 500

    actual = mean_squared_error(PcaQuantizer(dims=6), vectors)

    np.testing.assert_allclose(actual, variances[6:].sum(), rtol=1e-4)


def test_pca_of_all_dimensions_loses_nothing():
    """A rotation there and back."""
    vectors = correlated(100, 20)

    np.testing.assert_allclose(through(PcaQuantizer(dims=20), vectors), vectors, atol=1e-4)


@pytest.mark.parametrize(("store", "most"), [("float16", 3e-3), ("int8", 4e-2)])
def test_coordinates_are_stored_as_asked(store, most):
    """Rounding coordinates costs little beside what is left out, and not nothing."""
    vectors = correlated(500, 20)

    actual = through(PcaQuantizer(dims=6, store=store), vectors)

    gap = np.abs(actual - through(PcaQuantizer(dims=6), vectors)).max()
    assert 1e-5 < gap < most * vectors.std()


def test_pca_beyond_what_so_many_vectors_span_is_refused():
    """The directions left over would be noise of the rounding."""
    with pytest.raises(SettingError, match=r"dims = 64, but 50 vectors vary in 49 directions"):
        PcaQuantizer(dims=64).check(n=50, dim=128)


@pytest.mark.parametrize("centre", ["none", "mean", "median"])
def test_bits_are_the_signs_about_the_centre(centre):
    """The definition; the first dimension is the lowest bit."""
    vectors = correlated(101, 11)
    middle = {"none": 0 * vectors[0], "mean": vectors.mean(0), "median": np.median(vectors, 0)}
    quantizer = BinaryQuantizer(centre=centre)

    codes = quantizer.encode(quantizer.fit(vectors), vectors)

    for row, code in zip(vectors, codes, strict=True):
        bits = [int(value >= about) for value, about in zip(row, middle[centre], strict=True)]
        assert code.tobytes() == oracle.bits_side_by_side(bits, 1)


def test_all_coordinates_decode_to_their_mean_size():
    """Of all single sizes it is the one with the smallest error."""
    vectors = correlated(101, 11)

    actual = through(BinaryQuantizer(centre="mean"), vectors) - vectors.mean(0)

    np.testing.assert_allclose(np.abs(actual), np.abs(vectors - vectors.mean(0)).mean(), rtol=1e-4)
    np.testing.assert_array_equal(actual > 0, vectors >= vectors.mean(0))


def test_a_rotation_evens_out_what_few_dimensions_hold():
    """Without it the bits of empty dimensions are noise as loud as those of full ones."""
    vectors = np.random.default_rng(0).standard_normal((500, 32)).astype(np.float32)
    vectors[:, 4:] *= 0.01

    errors = [mean_squared_error(BinaryQuantizer(rotation=r), vectors) for r in (True, False)]

    assert errors[0] < errors[1] / 2


def test_random_rotations_are_uniform():
    """A first column that leaned one way would bias every estimate."""
    columns = np.array([random_rotation(8, seed)[:, 0] for seed in range(600)])

    np.testing.assert_allclose(columns.mean(0), 0, atol=4 / np.sqrt(600 * 8))
    np.testing.assert_allclose((columns**2).mean(0), 1 / 8, atol=0.03)


def test_rabitq_decodes_to_the_estimator_of_the_paper():
    """An inner product with a decoded vector is equation 13 of Gao and Long, whoever asks."""
    vectors, queries = correlated(50, 24), correlated(20, 24, seed=1)
    quantizer = RabitqQuantizer()
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors)) @ queries.T

    expected = [
        [
            oracle.rabitq_estimate(v.tolist(), q.tolist(), *(part.tolist() for part in codebook))[0]
            for q in queries
        ]
        for v in vectors
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3)


def test_rabitq_is_right_on_average_and_within_its_bound():
    """Over rotations the error has mean 0; 1.9 times its spread is what the paper calls nearly certain."""
    vectors, query = unit_rows(correlated(40, 48)), unit_rows(correlated(1, 48, seed=1))[0]
    errors, spreads = [], []
    for seed in range(150):
        quantizer = RabitqQuantizer(seed=seed)
        codebook = quantizer.fit(vectors)
        decoded = quantizer.decode(codebook, quantizer.encode(codebook, vectors[:4]))
        for vector, code in zip(vectors, decoded, strict=False):
            parts = (part.tolist() for part in codebook)
            spreads.append(oracle.rabitq_estimate(vector.tolist(), query.tolist(), *parts)[1])
            errors.append(float((code - vector) @ query))

    z = np.array(errors) / np.array(spreads)

    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
    assert (np.abs(z) < 1.9).mean() > 0.93


def test_rabitq_agrees_with_faiss():
    """Another implementation of the same paper, which leaves the rotation to its caller."""
    vectors = correlated(100, 32)
    quantizer = RabitqQuantizer()
    codebook = quantizer.fit(vectors)

    actual = quantizer.decode(codebook, quantizer.encode(codebook, vectors))

    foreign = faiss.RaBitQuantizer(32, faiss.METRIC_INNER_PRODUCT)
    rotated = np.ascontiguousarray((vectors - codebook.centre) @ codebook.rotation)
    decoded = foreign.decode(foreign.compute_codes(rotated)) @ codebook.rotation.T
    np.testing.assert_allclose(actual, decoded + codebook.centre, rtol=1e-3, atol=2e-3)


def test_every_bit_of_rabitq_more_than_halves_the_error():
    """In the limit each halves it: levels that were wasted would show here."""
    vectors = correlated(200, 32)

    errors = [mean_squared_error(RabitqQuantizer(n_bits=b), vectors) for b in (1, 2, 4, 8)]

    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 4**1.5
    assert errors[3] < errors[2] / 4**3


def test_levels_of_rabitq_are_near_the_best_in_angle():
    """Of 15 steps one is nearly as good as the best of a thousand."""
    rows = np.random.default_rng(5).standard_normal((60, 48)).astype(np.float32)
    rows -= rows.mean(0)
    quantizer = RabitqQuantizer(n_bits=4)
    codebook = quantizer.fit(rows)

    decoded = quantizer.decode(codebook, quantizer.encode(codebook, rows)) - codebook.centre

    cosines = (unit_rows(decoded) * unit_rows(rows)).sum(1)
    rotated = rows @ codebook.rotation
    for row, cosine in zip(rotated, cosines, strict=True):
        steps = np.linspace(0.1, 0.8, 1000)[:, None] * row.std()
        levels = np.clip(np.floor(row / steps) + 0.5, -7.5, 7.5)
        best = ((levels * row).sum(1) / np.linalg.norm(levels, axis=1)).max() / np.linalg.norm(row)
        assert 1 - cosine < 1.15 * (1 - best)
