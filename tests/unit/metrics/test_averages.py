"""Four averages, what each is over, what was left out, and how sure each is."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import averages_by_loops
from unit.metrics.builders import positives

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.core.metric import Quotients
from cbir_bench.metrics.aggregate import average, evaluate
from cbir_bench.metrics.bootstrap import ratio_intervals


def of_scores(*scores):
    """Return quotients with these values; NaN for 0 / 0."""
    values = np.array(scores, float)
    return Quotients(np.nan_to_num(values), (~np.isnan(values)).astype(float))


def recalls(n_queries=60, seed=0):
    """Return (quotients, R, classes) of queries of very different size, some with nothing relevant."""
    random = np.random.default_rng(seed)
    n_relevant = random.geometric(0.2, n_queries) - 1
    found = random.binomial(n_relevant, random.beta(0.5, 1, n_queries))
    classes = random.choice([3, 5, 8, 13, 21, 34], n_queries)
    n_relevant[classes == 34] = 0
    found[classes == 34] = 0
    return Quotients(found.astype(float), n_relevant.astype(float)), n_relevant, classes


def test_the_mean_is_over_queries_that_have_something_to_find():
    """A query with many relevant items counts as much as one with few."""
    actual = average({"ap@2": of_scores(1.0, np.nan, 0.5, 0.0)})["ap@2"]

    assert (actual.mean, actual.n_queries, actual.n_left_out) == (0.5, 3, 1)
    assert actual.low <= actual.mean <= actual.high
    assert actual.undefined == ""


def test_each_average_hides_something_else():
    """A query with one relevant item, found; and one with nine, of which none was found."""
    quotients = Quotients(np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 8.0]))

    actual = average(
        {"recall@9": quotients}, n_relevant=np.array([1, 1, 8]), classes=np.array([0, 0, 1])
    )["recall@9"]

    assert actual.mean == pytest.approx(2 / 3)
    assert actual.by_class.value == pytest.approx(1 / 2)
    assert actual.micro.value == actual.weighted.value == pytest.approx(2 / 10)
    assert actual.n_classes == 2


def test_averages_are_those_of_loops_in_fractions():
    """A class none of whose queries has anything to find is no class of the mean."""
    quotients, n_relevant, classes = recalls()
    half = Quotients(quotients.numerator, np.where(n_relevant > 0, 100.0, 0.0))

    actual = average({"r": quotients, "half": half}, n_relevant=n_relevant, classes=classes)

    for name, one in (("r", quotients), ("half", half)):
        columns = one.numerator.tolist(), one.denominator.tolist()
        assert actual[name].mean == pytest.approx(averages_by_loops.macro(*columns))
        assert actual[name].micro.value == pytest.approx(averages_by_loops.micro(*columns))
        assert actual[name].weighted.value == pytest.approx(
            averages_by_loops.weighted(*columns, n_relevant.tolist())
        )
        assert actual[name].by_class.value == pytest.approx(
            averages_by_loops.by_class(*columns, classes.tolist())
        )
        assert actual[name].n_classes == 5


def test_pytorch_metric_learning_agrees_on_class_means():
    """Its `avg_of_avgs`."""
    from cbir_bench.core.ranking import PositiveRanks

    torch = pytest.importorskip("torch")
    module = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    random = np.random.default_rng(0)
    labels = random.choice(6, 80, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    vectors = (np.eye(6)[labels] + random.standard_normal((80, 6))).astype(np.float32)
    calculator = module.AccuracyCalculator(
        include=("r_precision", "mean_average_precision_at_r"), avg_of_avgs=True, k=None
    )
    theirs = calculator.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(labels))

    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(2) + 1e9 * np.eye(80)
    ids = np.argsort(distances, axis=1)[:, :-1]
    hits = labels[ids] == labels[:, None]
    ranks = PositiveRanks.from_hits(hits, hits.sum(1)).completed()
    values, _ = evaluate(["r_precision", "map_at_r"], ranks, classes=labels)

    assert values["r_precision"].by_class.value == pytest.approx(theirs["r_precision"], abs=1e-6)
    assert values["map_at_r"].by_class.value == pytest.approx(
        theirs["mean_average_precision_at_r"], abs=1e-6
    )


def test_the_weighted_mean_of_a_share_of_r_is_its_micro_average():
    """And the micro average of what is divided by a constant is its mean."""
    values, _ = evaluate(
        ["recall@3", "ap@3", "precision@3", "hit_rate@1"],
        positives("101", "011", "000", n_relevant=[2, 3, 7]),
    )

    for name in ("recall@3", "ap@3"):
        assert values[name].micro.value == pytest.approx(values[name].weighted.value)
        assert values[name].micro.low == pytest.approx(values[name].weighted.low)
    for name in ("precision@3", "hit_rate@1"):
        assert values[name].micro.value == pytest.approx(values[name].mean)
        assert values[name].micro.high == pytest.approx(values[name].high)


def test_what_is_not_known_is_not_averaged():
    """Neither weights nor classes: two averages, and no class."""
    actual = average({"ap@2": of_scores(1.0, 0.0)})["ap@2"]

    assert (actual.by_class, actual.weighted, actual.n_classes) == (None, None, 0)
    assert actual.micro.value == 0.5


def test_no_query_with_anything_to_find_has_no_mean():
    """None, with a reason: neither 0 nor NaN."""
    actual = average(
        {"ap@2": of_scores(*[np.nan] * 3)}, n_relevant=np.zeros(3, int), classes=np.arange(3)
    )["ap@2"]

    assert (actual.mean, actual.low, actual.n_left_out) == (None, None, 3)
    assert (actual.by_class, actual.micro, actual.weighted) == (None, None, None)
    assert "anything to find" in actual.undefined


def test_a_single_query_has_no_interval():
    """One value says nothing about its spread; nor does one class."""
    actual = average(
        {"ap@2": of_scores(0.25, np.nan)}, n_relevant=np.array([2, 0]), classes=np.array([1, 0])
    )["ap@2"]

    assert (actual.mean, actual.low, actual.high) == (0.25, None, None)
    for estimate in (actual.by_class, actual.micro, actual.weighted):
        assert (estimate.value, estimate.low, estimate.high) == (0.25, None, None)


def test_the_interval_of_class_means_is_over_classes():
    """However many queries they have: three classes are three observations."""
    scores = np.concatenate([np.full(100, 0.1), np.full(10, 0.5), np.full(1, 0.9)])
    classes = np.repeat([4, 2, 9], [100, 10, 1])

    actual = average({"ap@2": of_scores(*scores)}, classes=classes)["ap@2"]

    low, high = ratio_intervals(np.array([[0.5, 0.1, 0.9]]), np.ones((1, 3)))
    assert (actual.by_class.low, actual.by_class.high) == (low[0], high[0])
    assert actual.by_class.low == pytest.approx(0.1, abs=0.05)


def test_queries_of_a_cluster_are_drawn_together():
    """A hundred copies of four queries are as uncertain as the four; the mean is the same."""
    four = of_scores(0.1, 0.4, 0.9, 0.5)
    copies = of_scores(*np.repeat([0.1, 0.4, 0.9, 0.5], 100))
    clusters = np.repeat([5, 1, 7, 3], 100)

    alone = average({"ap@2": four}, clusters=np.array([5, 1, 7, 3]))["ap@2"]
    drawn_together = average({"ap@2": copies}, clusters=clusters)["ap@2"]
    drawn_apart = average({"ap@2": copies})["ap@2"]

    assert drawn_together.mean == pytest.approx(drawn_apart.mean)
    assert (drawn_together.low, drawn_together.high) == pytest.approx((alone.low, alone.high))
    assert drawn_together.high - drawn_together.low > 5 * (drawn_apart.high - drawn_apart.low)


def test_clusters_of_one_are_queries():
    """Whatever their codes are."""
    quotients, n_relevant, classes = recalls()
    codes = np.arange(60) * 7 - 5

    apart = average({"r": quotients}, n_relevant=n_relevant, classes=classes)
    clustered = average({"r": quotients}, n_relevant=n_relevant, classes=classes, clusters=codes)

    assert clustered == apart


def test_metrics_left_out_for_different_queries_keep_apart():
    """A query without labels to find can have neighbours to find."""
    quotients = {
        "ap@2": of_scores(np.nan, 1.0, 0.0),
        "knn_recall@2": of_scores(1.0, 1.0, 0.25),
    }

    actual = average(quotients, classes=np.array([0, 1, 1]))

    assert list(actual) == ["ap@2", "knn_recall@2"]
    assert (actual["ap@2"].mean, actual["ap@2"].n_left_out) == (0.5, 1)
    assert (actual["knn_recall@2"].mean, actual["knn_recall@2"].n_left_out) == (0.75, 0)
    assert (actual["ap@2"].n_classes, actual["knn_recall@2"].n_classes) == (1, 2)


def test_a_value_does_not_depend_on_what_else_is_asked_for():
    """Records with and without another metric agree to the last bit."""
    random = np.random.default_rng(0)
    n_relevant, classes = random.integers(1, 9, 1001), random.integers(0, 50, 1001)
    quotients = {
        name: Quotients(random.random(1001), random.integers(1, 5, 1001).astype(float))
        for name in ("ap@2", "mrr@2", "ndcg@2")
    }

    together = average(quotients, n_relevant=n_relevant, classes=classes)

    for name, one in quotients.items():
        alone = average({name: one}, n_relevant=n_relevant, classes=classes)
        assert alone[name] == together[name]


def test_the_seed_is_of_the_intervals_alone():
    """Values are no matter of chance."""
    quotients, n_relevant, classes = recalls()

    one = average({"r": quotients}, n_relevant=n_relevant, classes=classes, seed=1)["r"]
    other = average({"r": quotients}, n_relevant=n_relevant, classes=classes, seed=2)["r"]

    assert (one.mean, one.micro.value) == (other.mean, other.micro.value)
    assert (one.low, one.high) != (other.low, other.high)


@pytest.mark.parametrize("column", ["n_relevant", "classes", "clusters"])
def test_columns_of_another_length_are_refused(column):
    """A class for every query, and not one more."""
    with pytest.raises(InvalidArrayError, match=r"2 of ap@2, 3 of .*Give one per query"):
        average({"ap@2": of_scores(1.0, 0.0)}, **{column: np.ones(3, int)})


def test_no_metrics_have_no_averages():
    """A suite may ask for metrics of neighbours alone."""
    assert average({}, n_relevant=np.ones(3, int)) == {}
