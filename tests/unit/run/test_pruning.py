"""Which search settings a cheaper one makes pointless, and which it says nothing about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.report.synthetic import Point

from cbir_bench.core.component import create, setting_of
from cbir_bench.core.registry import INDEXES
from cbir_bench.run.pruning import Pruner, by_effort
from cbir_bench.run.suite import StopAt


def trial(use="faiss", k=10, **options):
    setting = setting_of(use, create(INDEXES, use, options))
    return replace(Point().trial(), index=setting, k=k)


def ivf(nprobe, **options):
    return trial(factory="IVF64,PQ8,Refine(SQfp16)", nprobe=nprobe, **options)


def reason(known, other, *, recall=1.0, latency=10.0, **stop_at):
    pruner = Pruner(StopAt(**(stop_at or {"knn_recall": 1.0})))
    pruner.note(known, recall, latency)
    return pruner.reason(other)


def test_more_effort_is_pointless_once_everything_is_found():
    """It finds no more, and takes longer."""
    assert "finds 1 of the exact neighbours" in reason(ivf(4), ivf(8))
    assert "finds 1 of" in reason(ivf(4, k_factor=2.0), ivf(8, k_factor=2.0))
    assert "finds 1 of" in reason(ivf(4, k_factor=2.0), ivf(4, k_factor=4.0))


@pytest.mark.parametrize(
    "other",
    [
        ivf(2),
        ivf(8, k_factor=2.0),
        ivf(8, k=20),
        trial(factory="IVF32,Flat", nprobe=8),
        trial("hnswlib", ef_search=512),
    ],
)
def test_nothing_is_said_about_settings_that_differ_in_more(other):
    """Less effort, a deeper answer or another index may well be worth a look."""
    assert reason(ivf(4, k_factor=4.0), other) is None


def test_nothing_stops_below_what_is_enough():
    """0.99 is not 1, unless the suite says that it is enough."""
    assert reason(ivf(4), ivf(8), recall=0.99) is None
    assert reason(ivf(4), ivf(8), recall=0.99, knn_recall=0.95) is not None
    assert reason(ivf(4), ivf(8), recall=None) is None


def test_a_budget_stops_whatever_takes_longer_than_one_that_is_over_it():
    """Latency grows with effort."""
    assert "takes 30 us" in reason(ivf(4), ivf(8), latency=30.0, latency_us=20.0)
    assert reason(ivf(4), ivf(8), latency=20.0, latency_us=20.0) is None


def test_without_a_stop_nothing_is_left_out():
    """The whole curve is what most reports want."""
    pruner = Pruner(StopAt())
    pruner.note(ivf(4), 1.0, 1e9)

    assert pruner.reason(ivf(8)) is None


def test_the_librarys_own_choice_is_not_less_than_others():
    """annoy's search_k = 0 inspects trees times k items, which may be more than a number that is given."""
    own, some = trial("annoy", search_k=0), trial("annoy", search_k=500)

    assert reason(own, some) is None
    assert reason(some, own) is None


def test_a_setting_is_no_reason_against_itself():
    """Another attempt at the same trial must not find itself done."""
    assert reason(ivf(4), ivf(4)) is None


def test_trials_run_from_cheap_to_dear():
    """What stops the others has to come first."""
    given = [ivf(16), ivf(1), ivf(4, k_factor=8.0), ivf(4, k_factor=1.0)]

    actual = [(t.index.values["nprobe"], t.index.values["k_factor"]) for t in by_effort(given)]

    assert actual == [(4, 1.0), (1, 4.0), (16, 4.0), (4, 8.0)]
