"""The float32 product is fast and wrong by a known amount; the float64 one repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import exact_search
from unit.metrics.builders import clustered, full_base

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.metrics.similarity import Similarities, leave_out_self


@pytest.mark.parametrize("space", ["ip", "l2"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("dim", [1, 3, 256])
def test_the_error_bound_holds(space, offset, dim):
    """Everything rests on it: a pair outside the bound is never looked at again."""
    vectors = clustered(60, dim, 6, seed=0)[0] + np.float32(offset)
    similarities = Similarities(queries=vectors[:20], base=vectors, space=space)

    (_, block), *_ = similarities.blocks(20)

    own = [exact_search.similarity(q, np.zeros(dim), "l2") for q in vectors[:20]]
    for q in range(20):
        constant = own[q] if space == "l2" else 0  # rows of l2 lack the query's own length
        exact = [exact_search.similarity(vectors[q], x, space) - constant for x in vectors]
        error = np.abs(np.array([float(e) for e in exact]) - block[q])
        assert (error <= similarities.error[q]).all()
        assert similarities.error[q] < 1e-3 * np.abs(block[q]).max()


@pytest.mark.parametrize("space", ["ip", "l2"])
@pytest.mark.parametrize("dim", [1, 7, 130])
def test_exact_similarities_do_not_depend_on_their_company(space, dim):
    """One pair alone, or among many: the same float64 to the last bit."""
    vectors = clustered(80, dim, 6, seed=0)[0]
    similarities = Similarities(queries=vectors, base=vectors, space=space)
    queries, ids = np.divmod(np.arange(6400), 80)

    together = similarities.exact(queries, ids)

    alone = [similarities.exact(queries[i : i + 1], ids[i : i + 1])[0] for i in range(0, 6400, 97)]
    assert alone == together[::97].tolist()
    expected = float(exact_search.similarity(vectors[1], vectors[2], space))
    assert together[82] == pytest.approx(expected, rel=1e-12)


def test_self_is_the_last_resort_and_its_twin_is_not():
    """Only the id tells the query from its duplicate."""
    block = np.ones((2, 3), np.float32)

    leave_out_self(block, np.array([1, -1]))

    assert block.tolist() == [[1, -np.inf, 1], [1, 1, 1]]


def test_a_protocol_that_uses_every_row_copies_nothing():
    """A million vectors fit once."""
    vectors = np.ones((5, 2), np.float32)

    actual = Similarities.of(vectors, full_base(["a"] * 5), "ip")

    assert actual.base is vectors
    assert actual.queries is vectors


def test_different_dimensions_are_refused():
    """Both sides come from one model."""
    with pytest.raises(InvalidArrayError, match="3 dimensions and the base has 2"):
        Similarities(
            queries=np.ones((1, 3), np.float32), base=np.ones((1, 2), np.float32), space="ip"
        )


@pytest.mark.parametrize("space", ["ip", "l2"])
def test_vectors_that_overflow_are_refused(space):
    """Infinite similarities would all tie."""
    vectors = np.full((2, 2), 1e30, np.float32)

    with pytest.raises(InvalidArrayError, match="overflow float32"):
        Similarities(queries=vectors, base=vectors, space=space)
