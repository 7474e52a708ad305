"""The answer in words follows from the numbers."""

from __future__ import annotations

from dataclasses import replace

from unit.report.synthetic import ANNOY, EXACT, HNSWLIB, METRICS, NULL, Point, changed, record_of

from cbir_bench.core.record import MetricValue
from cbir_bench.records.frame import to_frame
from cbir_bench.report.choice import sections
from cbir_bench.report.numbers import MISSING
from cbir_bench.report.verdict import verdict


def point(sweep, value: int, *, quality: float, qps: float, size: int, half: float = 0.001):
    record = record_of(Point(sweep=sweep, value=value))
    mean = MetricValue(mean=quality, low=quality - half, high=quality + half, n_queries=100)
    return changed(
        record,
        metrics={"map_at_r": mean},
        latency=replace(record.latency, qps=qps, p99_us=2e6 / qps),
        build=replace(record.build, index_bytes=size),
    )


def lines_of(*records) -> list[str]:
    return verdict(sections(to_frame(records, METRICS), METRICS, "map_at_r")[0]).splitlines()


def test_best_fastest_and_smallest_are_three_points() -> None:
    """What is within 1 % of the best and what is not decides."""
    actual = lines_of(
        point(EXACT, 0, quality=0.800, qps=500, size=4 * 2**20),
        point(HNSWLIB, 0, quality=0.793, qps=5_000, size=5 * 2**20),
        point(HNSWLIB, 1, quality=0.798, qps=2_000, size=2**20),
        point(HNSWLIB, 2, quality=0.791, qps=90_000, size=2**10),
        point(NULL, 0, quality=0.800, qps=1e6, size=1),
    )

    assert "\n".join(actual) == (
        "- **Best quality**: resnet-gem + exact, map_at_r 0.800 [0.799, 0.801], 500 queries/s "
        "(p99 4.00 ms), index 4.00 MiB.\n"
        "- **Fastest within 1 % of it**: resnet-gem + hnswlib(m=16, ef_search=100), map_at_r 0.793 "
        "[0.792, 0.794], 5,000 queries/s (p99 400 µs), index 5.00 MiB, 10 times its speed, "
        "1.2 times its size.\n"
        "- **Smallest index within 1 % of it**: resnet-gem + hnswlib(m=16, ef_search=200), map_at_r "
        "0.798 [0.797, 0.799], 2,000 queries/s (p99 1.00 ms), index 1.00 MiB, 4.0 times its speed, "
        "0.25 times its size.\n"
        "- The 95 % intervals of 1 of the other 3 points overlap that of the best: they may be as good."
    )


def test_among_equals_the_faster_is_best() -> None:
    """A tie in quality is decided by speed, not by the order of the files."""
    actual = lines_of(
        point(EXACT, 0, quality=0.8, qps=500, size=4),
        point(ANNOY, 0, quality=0.8, qps=900, size=9),
    )

    assert "annoy" in actual[0]
    assert actual[1] == "- **Fastest within 1 % of it**: the best itself."
    assert "exact" in actual[2]


def test_one_point_is_its_own_answer() -> None:
    """Nothing to compare, nothing to doubt."""
    actual = lines_of(point(EXACT, 0, quality=0.8, qps=500, size=4))

    assert [line.split("**: ")[1] for line in actual[1:]] == ["the best itself."] * 2


def test_costs_that_were_not_measured_are_left_out() -> None:
    """A point without a build cannot be the smallest."""
    actual = lines_of(changed(point(EXACT, 0, quality=0.8, qps=500, size=4), build=None))

    best, fastest = actual
    assert best.endswith(f"500 queries/s (p99 4.00 ms), index {MISSING}.")
    assert fastest == "- **Fastest within 1 % of it**: the best itself."


def test_nothing_comparable_is_said_so() -> None:
    """The harness alone is no system."""
    assert lines_of(point(NULL, 0, quality=0.1, qps=1e6, size=1)) == [
        "- Nothing was measured that could be compared."
    ]


def test_chosen_points_that_were_disturbed_are_named_once_each() -> None:
    """Nobody should choose by a latency that another program decided."""

    def disturbed(record, n: int):
        return changed(record, quiet=replace(record.quiet, n_disturbed=n))

    best = point(EXACT, 0, quality=0.8, qps=500, size=2)
    fastest = point(HNSWLIB, 0, quality=0.8, qps=400, size=1)
    hopeless = point(ANNOY, 0, quality=0.1, qps=1, size=9)
    end = ": measure on a quieter machine before you decide by speed."

    both = lines_of(disturbed(best, 1), disturbed(fastest, 3), hopeless)
    one = lines_of(disturbed(best, 2), fastest, hopeless)
    none = lines_of(best, fastest, disturbed(hopeless, 3))

    head = "- Other programs disturbed the latency passes of the "
    assert both[-1] == f"{head}best and smallest points{end}"
    assert one[-1] == f"{head}best point{end}"
    assert not any("disturbed" in line for line in none)
