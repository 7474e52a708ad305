"""Exact search through torch: on its CPU device, and on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.indexes.exact import ExactIndex

torch = pytest.importorskip("torch")
exact_on_gpu = pytest.importorskip("cbir_bench.indexes.exact_on_gpu")

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def handles(base, space, device):
    """The index in NumPy, and the same on a torch device."""
    handle = ExactIndex().build(base, space, 1)
    return handle, exact_on_gpu.moved(handle.arrays(), device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("k", [1, 10, 400])
def test_the_answers_are_those_of_the_cpu_ties_included(device, space, k):
    """Whole numbers have exact sums, so that every tie is one on both devices."""
    random = np.random.default_rng(0)
    base = random.integers(-3, 4, (400, 6)).astype(np.float32)
    queries = random.integers(-3, 4, (30, 6)).astype(np.float32)
    base -= 0 if space != "l2" else np.rint(base.mean(0)) - base.mean(0)  # a mean of whole numbers

    plain, moved = handles(base, space, device)

    np.testing.assert_array_equal(moved.search(queries, k), plain.search(queries, k))


@pytest.mark.parametrize("device", DEVICES)
def test_full_float32_decides(device):
    """With TensorFloat-32 the third digit of a similarity is noise, and neighbours are swapped."""
    random = np.random.default_rng(0)
    base = random.standard_normal((2000, 64)).astype(np.float32)
    queries = random.standard_normal((50, 64)).astype(np.float32)
    true = np.argsort(-(queries.astype(float) @ base.T.astype(float)), axis=1)[:, :10]

    _, moved = handles(base, "ip", device)

    assert (moved.search(queries, 10) == true).mean() > 0.995


@pytest.mark.parametrize("device", DEVICES)
def test_blocks_do_not_change_the_answer(monkeypatch, device):
    """Memory is bounded by searching some queries and some items at a time."""
    random = np.random.default_rng(0)
    base = random.integers(-3, 4, (200, 6)).astype(np.float32)
    queries = random.integers(-3, 4, (17, 6)).astype(np.float32)
    plain, moved = handles(base, "ip", device)
    monkeypatch.setattr(exact_on_gpu, "_BLOCK_BYTES", 4 * 5 * 23)
    monkeypatch.setattr(exact_on_gpu, "_QUERIES_PER_BLOCK", 5)

    np.testing.assert_array_equal(moved.search(queries, 9), plain.search(queries, 9))


@pytest.mark.parametrize("device", DEVICES)
def test_a_single_query_is_a_matrix_of_one_row(device):
    """Latency is measured with single queries, from NumPy to NumPy."""
    base = np.random.default_rng(0).integers(-3, 4, (50, 6)).astype(np.float32)
    plain, moved = handles(base, "cosine", device)
    index = ExactIndex()

    actual = [index.single(moved, 4)(query) for query in index.prepare(base[:3])]

    assert all(isinstance(row, np.ndarray) and row.dtype == np.int64 for row in actual)
    np.testing.assert_array_equal(np.concatenate(actual), plain.search(base[:3], 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_gpu_is_asked_for_by_name(tmp_path):
    """The whole way: checked, built, saved and loaded."""
    base = np.random.default_rng(0).integers(-3, 4, (50, 6)).astype(np.float32)
    index = ExactIndex(device="cuda")
    index.check(k=4, n_base=50, dim=6, space="ip")

    handle = index.build(base, "ip", 1)
    index.save(handle, tmp_path)

    assert handle.vectors.device.type == "cuda"
    assert index.load(tmp_path, 6, "ip").search(base, 4).tolist() == handle.search(base, 4).tolist()
