"""Names of metrics are values: read, compared, printed, refused with a suggestion."""

from __future__ import annotations

import pytest
from unit.metrics.builders import positives

from cbir_bench.core.errors import SettingError, UndefinedMetricError, UnknownNameError
from cbir_bench.core.registry import METRICS
from cbir_bench.metrics.names import MetricName
from cbir_bench.metrics.per_query import divided


@pytest.mark.parametrize(
    "text",
    [
        "ap",
        "ap@10",
        "map_at_r",
        "r_precision",
        "precision@1",
        "recall@100",
        "hit_rate@1",
        "mrr",
        "mrr@5",
        "ndcg",
        "ndcg@10",
        "ndcg_exp",
        "ndcg_exp@10",
        "err",
        "err@20",
        "ap_min@100",
        "ap_11pt",
        "ap_101pt",
        "minp",
        "oxford_ap",
        "oxford_ap@10",
        "oxford_precision@5",
        "knn_recall@10",
    ],
)
def test_a_name_prints_back(text):
    """Records, tables and suites hold the same text."""
    assert str(MetricName.parse(text)) == text


def test_equal_names_are_one_key():
    """Per-query columns are kept by name."""
    assert {MetricName.parse("ap@10"), MetricName.parse(" ap@10 ")} == {MetricName("ap", 10)}


def test_an_unknown_name_suggests_the_nearest():
    """A typo costs one look at the message."""
    with pytest.raises(UnknownNameError, match="Did you mean 'precision'"):
        MetricName.parse("presision@10")


@pytest.mark.parametrize("text", ["ap@", "ap@0", "ap@-1", "ap@1.5", "ap@ten", "ap@1@2", "ap@010"])
def test_a_cutoff_is_a_whole_number_from_1(text):
    """Anything else would be read as something that was not meant."""
    with pytest.raises(SettingError, match="whole number of ranks"):
        MetricName.parse(text)


@pytest.mark.parametrize(
    "metric", ["precision", "recall", "hit_rate", "knn_recall", "ap_min", "oxford_precision"]
)
def test_a_missing_cutoff_is_named(metric):
    """Over the whole base these would say nothing."""
    with pytest.raises(SettingError, match=f"for example {metric}@10"):
        MetricName.parse(metric)


@pytest.mark.parametrize("metric", ["map_at_r", "r_precision", "minp", "ap_11pt", "ap_101pt"])
def test_a_senseless_cutoff_is_refused(metric):
    """The ranks to look at follow from the relevant items: a cutoff would be ignored."""
    with pytest.raises(SettingError, match=f"{metric} takes no cutoff"):
        MetricName.parse(f"{metric}@10")


def test_a_metric_of_another_package_is_asked_itself(monkeypatch):
    """A plug-in's function decides about its cutoff; nothing else has to be declared."""

    def first_half(positives, k):
        if k is None or k % 2:
            raise UndefinedMetricError("half needs an even cutoff. Write half@2.")
        return divided(positives.n_relevant, k, positives)

    monkeypatch.setitem(METRICS._components, "half", first_half)

    assert MetricName.parse("half@4").scores(positives("1")) == [0.25]
    with pytest.raises(SettingError, match="even cutoff"):
        MetricName.parse("half@3")


def test_only_metrics_of_neighbours_see_neighbours():
    """The name tells which ranks a metric is given."""
    assert MetricName.parse("knn_recall@10").of_neighbours
    assert not MetricName.parse("recall@10").of_neighbours
