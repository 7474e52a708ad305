"""Every registered metric keeps the promises of ``core.metric.MetricFunction``."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.core.errors import SettingError, UndefinedMetricError
from cbir_bench.core.ranking import PositiveRanks
from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.names import MetricName

DEPTH = 6


def forms(metric):
    """Return the names under which a metric can be asked for: with a cutoff, without, or both."""
    names = []
    for text in (metric, f"{metric}@3"):
        try:
            names.append(MetricName.parse(text))
        except SettingError:
            continue
    return names


FORMS = [name for metric in METRICS.names() for name in forms(metric)]


def rankings(depth=None):
    """Return random rankings of a base of six; the last query has nothing relevant."""
    hits = np.random.default_rng(0).random((40, DEPTH)) < 0.4
    hits[:-1, -1] |= ~hits[:-1].any(axis=1)
    hits[-1] = False
    cut = PositiveRanks.from_hits(hits, hits.sum(axis=1))
    return PositiveRanks(ranks=cut.ranks, starts=cut.starts, n_relevant=cut.n_relevant, depth=depth)


@pytest.mark.parametrize("metric", METRICS.names())
def test_it_can_be_asked_for(metric):
    """With or without a cutoff, there is a name that parses."""
    assert forms(metric)


@pytest.mark.parametrize("metric", METRICS.names())
def test_its_definition_is_in_its_docstring(metric):
    """`cbir-bench list metrics` prints it."""
    about = METRICS.get(metric).__doc__ or ""

    assert len(about.split("\n")[0]) > 20


@pytest.mark.parametrize("name", FORMS, ids=str)
def test_one_value_per_query_between_0_and_1(name):
    """NaN where a query has nothing relevant, and nowhere else."""
    ranks = rankings()

    actual = name.scores(ranks)

    assert actual.shape == (len(ranks),)
    assert actual.dtype == np.float64
    assert np.isnan(actual).tolist() == (ranks.n_relevant == 0).tolist()
    assert np.nanmin(actual) >= 0
    assert np.nanmax(actual) <= 1


@pytest.mark.parametrize("name", FORMS, ids=str)
def test_what_it_is_given_stays_as_it_was(name):
    """The next metric sees the same ranks."""
    ranks = rankings()
    for array in (ranks.ranks, ranks.starts, ranks.n_relevant):
        array.setflags(write=False)

    name.scores(ranks)


@pytest.mark.parametrize("name", FORMS, ids=str)
def test_a_ranking_of_depth_1_is_refused_or_enough(name):
    """A number from ranks that are not there would be wrong without any sign."""
    ranks = rankings(depth=1)
    shallow = PositiveRanks(
        ranks=ranks.ranks[:0],
        starts=np.zeros_like(ranks.starts),
        n_relevant=ranks.n_relevant,
        depth=1,
    )

    with pytest.raises(UndefinedMetricError, match=name.metric):
        name.scores(shallow)


@pytest.mark.parametrize("name", FORMS, ids=str)
def test_the_perfect_ranking_scores_at_least_as_well_as_any(name):
    """Higher is better, for every metric."""
    ranks = rankings()
    order = np.arange(1, len(ranks.ranks) + 1) - np.repeat(ranks.starts[:-1], np.diff(ranks.starts))
    perfect = PositiveRanks(
        ranks=order, starts=ranks.starts, n_relevant=ranks.n_relevant, depth=None
    )

    actual = name.scores(ranks)

    assert (name.scores(perfect)[:-1] >= actual[:-1]).all()
    assert name.scores(perfect)[:-1].sum() > actual[:-1].sum()
