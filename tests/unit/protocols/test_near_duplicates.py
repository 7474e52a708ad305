"""Groups of vectors that pairs above a cosine connect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.protocols.near_duplicates import (
    groups_of_pairs,
    near_duplicate_groups,
    similar_pairs,
)


def naive_groups(near: np.ndarray) -> list[int]:
    """Return the first row that each row is connected to, or -1: a walk from row to row."""
    n, groups = len(near), {}
    for start in range(n):
        if start in groups:
            continue
        waiting, seen = [start], {start}
        while waiting:
            row = waiting.pop()
            fresh = {i for i in range(n) if near[row, i]} - seen
            waiting += fresh
            seen |= fresh
        groups |= dict.fromkeys(seen, start if len(seen) > 1 else -1)
    return [groups[i] for i in range(n)]


@settings(deadline=None)  # the first example imports SciPy
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 30), threshold=st.sampled_from([0.5, 0.9, 0.99])
)
@pytest.mark.parametrize("block_bytes", [1, 300, 1 << 20])
def test_groups_are_those_of_a_walk_over_all_pairs(seed, n, threshold, block_bytes):
    """Whatever the blocks; rows of any length."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(max(1, n // 3), 4))[rng.integers(0, max(1, n // 3), n)]
    vectors = ((vectors + rng.normal(size=(n, 4)) * 0.2) * rng.uniform(0.1, 9, (n, 1))).astype(
        np.float32
    )

    actual = near_duplicate_groups(vectors, threshold, block_bytes=block_bytes)

    unit = vectors.astype(np.float64) / np.linalg.norm(
        vectors.astype(np.float64), axis=1, keepdims=True
    )
    assert actual.tolist() == naive_groups(unit @ unit.T >= threshold)


def test_a_chain_is_one_group():
    """Its ends need not be alike."""
    angles = np.radians([0, 10, 20, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    assert near_duplicate_groups(vectors, 0.98).tolist() == [0, 0, 0, -1]


def test_exact_duplicates_are_found_at_a_cosine_of_1():
    """Rounding leaves the product of a unit vector with itself a little below 1."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 96)).astype(np.float32)
    doubled = np.concatenate([vectors, vectors])

    actual = near_duplicate_groups(doubled, 1.0)

    assert actual.tolist() == list(range(500)) * 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=9))
def test_pairs_connect(pairs):
    """Also pairs found twice, and an item with itself."""
    near = np.zeros((7, 7), bool)
    for a, b in pairs:
        near[a, b] = near[b, a] = True
    left, right = (np.array([p[end] for p in pairs], np.int64) for end in (0, 1))

    assert groups_of_pairs(left, right, 7).tolist() == naive_groups(near)


def test_each_pair_comes_once_with_the_smaller_row_first():
    """A pair counted twice would cost twice."""
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 0]]

    pairs = [
        (a, b)
        for left, right in similar_pairs(vectors, 0.5, block_bytes=40)
        for a, b in zip(left, right, strict=True)
    ]

    assert sorted(pairs) == [(0, 2), (0, 4), (1, 3), (2, 4)]


@pytest.mark.parametrize("threshold", [-1.0, 1.5, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(threshold):
    """Everything or nothing would be a group."""
    with pytest.raises(SettingError, match="divides no vectors into groups"):
        near_duplicate_groups(np.eye(2, dtype=np.float32), threshold)


def test_vectors_without_a_direction_are_refused():
    """They have no cosine."""
    with pytest.raises(InvalidArrayError, match="all zero"):
        near_duplicate_groups(np.zeros((2, 3), np.float32), 0.5)
