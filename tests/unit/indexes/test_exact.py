"""Exact search against the definition, where float32 and ties make it hard."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from cbir_bench.core.component import setting_of
from cbir_bench.core.errors import MissingPackageError, SettingError
from cbir_bench.indexes import exact, exact_selection
from cbir_bench.indexes.exact import ExactIndex
from cbir_bench.indexes.exact_selection import largest, lower_bound


def search(base, queries, space, k, n_threads=1):
    index = ExactIndex()
    return index.batch(index.build(base, space, n_threads), k)(queries)


def whole_numbers(n, dim):
    """Small ones, so that there are many ties and every sum is exact."""
    return np.random.default_rng(n).integers(-3, 4, (n, dim)).astype(np.float32)


def by_definition(similarities, k):
    """Sorted by similarity, then by id."""
    n_base = similarities.shape[1]
    return [np.lexsort((np.arange(n_base), -row))[:k] for row in similarities]


def test_equal_similarities_are_ordered_by_id():
    """Otherwise the cut at k would fall differently on every machine."""
    base = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1]], np.float32)
    query = np.array([[1, 0]], np.float32)

    assert search(base, query, "ip", 2).tolist() == [[0, 2]]
    assert search(base, query, "ip", 4).tolist() == [[0, 2, 3, 1]]


def test_all_items_equal():
    """A base of duplicates is the extreme of ties."""
    base = np.ones((50, 4), np.float32)

    actual = search(base, base[:1], "cosine", 10)

    assert actual.tolist() == [list(range(10))]


@pytest.mark.parametrize("k", [1, 7, 100, 3000])
def test_many_ties_follow_the_definition(k):
    """Sort by similarity, then by id; short sorts keep the order by chance, long ones do not."""
    random = np.random.default_rng(0)
    base = random.integers(-2, 3, (3000, 3)).astype(np.float32)
    queries = random.integers(-2, 3, (5, 3)).astype(np.float32)
    similarities = queries @ base.T
    expected = [np.lexsort((np.arange(3000), -row))[:k] for row in similarities]

    np.testing.assert_array_equal(search(base, queries, "ip", k), expected)


def test_far_from_the_origin_distances_stay_exact():
    """|a - b|^2 from |a|^2 - 2ab + |b|^2 loses all digits where the vectors are long and close."""
    random = np.random.default_rng(0)
    offsets = random.standard_normal((300, 8))
    base = (10_000 + offsets).astype(np.float32)
    queries = (10_000 + random.standard_normal((20, 8))).astype(np.float32)
    distances = ((queries[:, None].astype(float) - base[None].astype(float)) ** 2).sum(2)

    actual = search(base, queries, "l2", 1)

    np.testing.assert_array_equal(actual[:, 0], distances.argmin(1))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_blocks_do_not_change_the_answer(monkeypatch, n_threads):
    """A large base is searched a few queries and a few items at a time."""
    base, queries = whole_numbers(200, 6), whole_numbers(17, 6)
    whole = search(base, queries, "ip", 9)
    monkeypatch.setattr(exact, "_BLOCK_BYTES", 4 * 5 * 23)
    monkeypatch.setattr(exact, "_QUERIES_PER_BLOCK", 5)

    actual = search(base, queries, "ip", 9, n_threads)

    np.testing.assert_array_equal(actual, whole)


@pytest.mark.parametrize("step", [1, 10, 47, 1000])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_slices_of_the_base_keep_the_definition(step, k):
    """Bounds of one slice drop candidates of the next: none that belongs to the answer."""
    similarities = np.random.default_rng(1).integers(-9, 9, (7, 300)).astype(np.float32)

    actual = largest(lambda part: similarities[:, part], 7, 300, k, step)

    np.testing.assert_array_equal(actual, by_definition(similarities, k))


@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_bound_is_reached_by_k_entries(k):
    """A bound above the k-th largest loses results; one far below it keeps everything."""
    similarities = np.random.default_rng(2).standard_normal((20, 5000)).astype(np.float32)

    bound = lower_bound(similarities, k)

    reaching = (similarities >= bound[:, None]).sum(1)
    assert (reaching >= k).all()
    assert reaching.mean() < 1.2 * k + 1


def test_losing_candidates_do_not_pile_up():
    """A base of a million duplicates would otherwise fill the memory with candidates."""
    similarities = np.ones((3, 4000), np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_selection, "_joined", watched := Watched(exact_selection._joined))
        actual = largest(lambda part: similarities[:, part], 3, 4000, 10, 100)

    np.testing.assert_array_equal(actual, [list(range(10))] * 3)
    assert watched.longest <= 8 * 10 * 3 + 3 * 100


class Watched:
    """Remembers the longest answer of a function."""

    def __init__(self, function):
        self.function, self.longest = function, 0

    def __call__(self, parts):
        joined = self.function(parts)
        self.longest = max(self.longest, len(joined.rows))
        return joined


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_batch_uses_the_threads_that_it_is_given(monkeypatch, n_threads):
    """Single queries use one thread whatever the build was given."""
    base, queries = whole_numbers(50, 4), whole_numbers(40, 4)
    used = set()
    block = exact.ExactHandle._search_block

    def watched(handle, block_queries, k):
        used.add(threading.get_ident())
        time.sleep(0.05)  # long enough that one thread cannot take all blocks
        return block(handle, block_queries, k)

    monkeypatch.setattr(exact.ExactHandle, "_search_block", watched)

    search(base, queries, "ip", 3, n_threads)

    assert len(used) == n_threads


def test_each_thread_multiplies_by_itself():
    """Threads of the library below threads of ours would fight for the same cores."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(None):
        index = ExactIndex()
        index.configure(index.build(whole_numbers(9, 4), "ip", 2), 2)

        pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
        assert {pool["num_threads"] for pool in pools} <= {1}


@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
def test_a_saved_index_answers_the_same(space, tmp_path):
    """Without the centre, distances of a loaded index would be those to other points."""
    base, queries = whole_numbers(200, 6) + 5, whole_numbers(10, 6)
    index = ExactIndex()
    handle = index.build(base, space, 1)

    index.save(handle, tmp_path)

    loaded = index.load(tmp_path, 6, space)
    np.testing.assert_array_equal(loaded.search(queries, 7), handle.search(queries, 7))


def test_the_device_of_the_cpu_is_no_part_of_the_key():
    """What was measured before there was a choice is still found."""
    assert setting_of("exact", ExactIndex()).values == {}
    assert setting_of("exact", ExactIndex(device="auto")).values == {"device": "auto"}


def test_a_missing_gpu_is_a_sentence(monkeypatch):
    """It must not come from inside a build, as torch's own message does."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(SettingError, match="torch finds no GPU on this machine"):
        ExactIndex(device="cuda").check(k=1, n_base=2, dim=2, space="ip")
    ExactIndex(device="auto").check(k=1, n_base=2, dim=2, space="ip")


def test_without_torch_auto_is_the_cpu(monkeypatch):
    """torch is large and not needed to search on the CPU."""
    monkeypatch.setitem(sys.modules, "torch", None)

    handle = ExactIndex(device="auto").build(whole_numbers(9, 4), "ip", 1)

    assert isinstance(handle, exact.ExactHandle)
    with pytest.raises(MissingPackageError, match="needs the package 'torch'"):
        ExactIndex(device="cuda").check(k=1, n_base=2, dim=2, space="ip")


def test_the_cpu_needs_no_torch():
    """A worker that imports it starts seconds later."""
    code = (
        "import sys, numpy; from cbir_bench.indexes.exact import ExactIndex; i = ExactIndex();"
        "i.check(k=1, n_base=2, dim=2, space='ip');"
        "i.build(numpy.ones((2, 2), 'f'), 'ip', 1).search(numpy.ones((1, 2), 'f'), 1);"
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
