"""The frontier against its definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cbir_bench.report.pareto import frontier

POINTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 2.0, np.nan]), st.sampled_from([0.0, 1.0, 3.0, np.nan])
    ),
    max_size=12,
)


@given(POINTS)
def test_a_point_is_optimal_if_no_other_beats_it(points: list[tuple[float, float]]) -> None:
    """The definition, spelled out; ties and missing values included."""
    quality, speed = (np.array([point[i] for point in points]) for i in (0, 1))

    actual = frontier(quality, speed)

    for i, (q, s) in enumerate(points):
        beaten = any(
            other_q >= q and other_s >= s and (other_q > q or other_s > s)
            for other_q, other_s in points
        )
        assert actual[i] == (not beaten and np.isfinite(q) and np.isfinite(s))


def test_a_hundred_thousand_points_take_no_time() -> None:
    """Nothing quadratic: a comparison of all pairs would need 10^10 steps and 10 GB."""
    rng = np.random.default_rng(0)

    actual = frontier(rng.random(100_000), rng.random(100_000))

    assert 1 < actual.sum() < 100
