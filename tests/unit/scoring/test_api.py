"""The Python functions: whatever holds the numbers, the same scores; whatever cannot be meant, a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered

from cbir_bench import scoring
from cbir_bench.core.errors import CbirBenchError, SettingError, UndefinedMetricError
from cbir_bench.scoring import compare, score_embeddings, score_hits, score_rankings


@pytest.fixture(scope="module")
def items():
    """Return vectors around six centres, and the numbers of the centres."""
    vectors, names = clustered(90, 8, 6, seed=4)
    return vectors, np.array([int(name.split()[1]) for name in names])


def means(scored):
    """Return the macro averages."""
    return {name: value.mean for name, value in scored.values.items()}


def test_arrays_tensors_and_lists_give_the_same_scores(items):
    """Nobody has to convert, and torch is not needed."""
    torch = pytest.importorskip("torch")
    vectors, labels = items
    expected = means(score_embeddings(vectors, labels, metrics="ap,mrr"))

    actual = [
        means(score_embeddings(made, marks, metrics=["ap", "mrr"]))
        for made, marks in (
            (torch.tensor(vectors, requires_grad=True), torch.tensor(labels)),
            (vectors.tolist(), [f"class {label}" for label in labels]),
            (np.asfortranarray(vectors.astype(np.float64)), labels.astype(np.uint8)),
        )
    ]

    assert actual == [expected] * 3


def test_half_precision_tensors_are_read(items):
    """NumPy has no bfloat16, in which models often answer."""
    torch = pytest.importorskip("torch")
    vectors, labels = items
    half = torch.tensor(vectors).bfloat16()

    actual = score_embeddings(half, labels, metrics="ap")

    assert means(actual) == means(score_embeddings(half.float(), labels, metrics="ap"))


def test_arguments_are_never_changed(items):
    """Scaling to length 1 happens in a copy."""
    vectors, labels = items
    before = vectors.copy()

    score_embeddings(vectors, labels, metrics="ap")

    np.testing.assert_array_equal(vectors, before)


def test_rankings_of_exact_search_score_like_the_embeddings(items):
    """Two functions, one definition; the query itself is left out by its id."""
    vectors, labels = items
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.argsort(-(unit @ unit.T), axis=1, kind="stable")
    names = "ap,map_at_r,ndcg@10,recall@20"
    expected = score_embeddings(vectors, labels, metrics=names)

    actual = score_rankings(ids, labels=labels, metrics=names)

    for name, scores in expected.per_query.items():
        np.testing.assert_allclose(actual.per_query[name], scores)
    assert actual.about.protocol == "full-base"


def test_junk_is_removed_before_ranks_are_counted():
    """What stood below it moves up."""
    actual = score_rankings(
        [[3, 0, 1, 2]], relevant=[[0, 2]], junk=[[3, 1]], n_base=6, metrics="precision@2,recall@1"
    )

    assert means(actual) == {"precision@2": 1.0, "recall@1": 0.5}


def test_gains_of_lists_are_graded():
    """The ideal order has the most relevant item first."""
    actual = score_rankings([[1, 0]], relevant=[[0, 1]], gains=[[2, 1]], n_base=3, metrics="ndcg@2")

    expected = (1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3))
    assert means(actual)["ndcg@2"] == pytest.approx(expected)


def test_hits_and_gains_need_what_was_not_found():
    """An ideal over the list alone scores incomplete lists as perfect."""
    actual = score_hits([[2.0, 0.0]], metrics="ndcg@2", ideal_gains=[[2.0, 1.0]])

    assert means(actual)["ndcg@2"] == pytest.approx(2 / (2 + 1 / np.log2(3)))


def test_without_the_number_of_relevant_items_some_metrics_have_a_value():
    """They do not ask for it; all others say that they do."""
    actual = score_hits([[0, 1, 1], [0, 0, 0]])

    assert means(actual) == {"hit_rate@1": 0.0, "mrr@3": 0.25}


def test_default_metrics_tell_why_some_have_no_value():
    """What was not asked for is shown with its reason."""
    actual = score_rankings([[1, 2], [0, 2]], relevant=[[1, 2, 3], [2]], n_base=9)

    assert actual.values["map_at_r"].mean is None
    assert "R = 3" in actual.table()
    assert "ap" not in actual.values
    assert actual.values["ap@2"].mean == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_rankings_of_nothing_but_the_query_are_refused():
    """An index that was asked for one result gives each item itself."""
    with pytest.raises(SettingError, match="Nothing is left"):
        score_rankings([[0], [1], [2]], labels=["a", "a", "b"])


def test_metrics_that_were_asked_for_are_refused_with_the_reason():
    """A number from the ranks at hand would be another metric."""
    with pytest.raises(UndefinedMetricError, match="cut at 2"):
        score_rankings([[1, 2]], relevant=[[1]], n_base=9, metrics="recall@1,ap")


def test_clusters_widen_the_interval_of_dependent_queries(items):
    """Thirty photos of one thing are not thirty things."""
    vectors, labels = items

    by_query = score_embeddings(vectors, labels, metrics="ap").values["ap"]
    by_class = score_embeddings(vectors, labels, metrics="ap", clusters="classes").values["ap"]
    same = score_embeddings(vectors, labels, metrics="ap", clusters=labels).values["ap"]

    assert by_class.mean == by_query.mean
    assert (by_class.low, by_class.high) == (same.low, same.high)
    assert by_class.high - by_class.low > by_query.high - by_query.low


def test_cameras_and_groups_are_junk(items):
    """Names, numbers, and nothing at all where nobody knows."""
    vectors, labels = items
    cameras = [("left", "right", None)[i % 3] for i in range(90)]
    numbers = np.where(np.arange(90) % 3 == 2, -1, np.arange(90) % 3)

    by_name = score_embeddings(vectors, labels, cameras=cameras, metrics="ap")
    by_number = score_embeddings(vectors, labels, cameras=numbers, metrics="ap")
    by_group = score_embeddings(vectors, labels, groups=np.arange(90) // 2, metrics="ap")

    assert means(by_name) == means(by_number)
    assert by_group.units.n_relevant.sum() < (labels[:, None] == labels).sum() - 90


def test_systems_are_compared_query_by_query(items):
    """The same queries, so that most of the spread drops out."""
    vectors, labels = items
    noise = np.random.default_rng(0).standard_normal(vectors.shape)
    good = score_embeddings(vectors, labels, metrics="ap,mrr")
    bad = score_embeddings(vectors + 3 * noise, labels, metrics="ap,mrr")

    actual = compare(bad, good)

    assert actual.comparisons["ap"].difference == pytest.approx(
        means(good)["ap"] - means(bad)["ap"]
    )
    assert actual.comparisons["ap"].low > 0
    assert "p (Holm)" in str(actual)


def test_the_package_is_light_and_says_what_it_has():
    """Importing it costs nothing until a function is used."""
    assert {name for name in scoring.__all__ if getattr(scoring, name)} == set(scoring.__all__)
    with pytest.raises(AttributeError, match="score_everything"):
        scoring.score_everything  # noqa: B018


HITS = [[1, 0, 1]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda v, y: score_embeddings(v, y, space="cos"), "Did you mean 'cosine'"),
        (lambda v, y: score_embeddings(v, y, protocol="full"), "full-base"),
        (lambda v, y: score_embeddings(v, y, queries=v), "queries alone"),
        (lambda v, y: score_embeddings(v, y, protocol="query-set"), "needs queries"),
        (lambda v, y: score_embeddings(v, y, cameras=y[:5]), "90 embeddings but 5 cameras"),
        (lambda v, y: score_embeddings(v, y, query_cameras=y), "go with queries"),
        (
            lambda v, y: score_embeddings(v, y, queries=v, query_labels=y, cameras=y),
            "cameras of the queries",
        ),
        (lambda v, y: score_embeddings(v, y, clusters=y[:5]), "shape (5,) for 90 queries"),
        (lambda v, y: score_embeddings(v, y, n_queries=0), "cannot be 0 queries"),
        (lambda v, y: score_embeddings([[1.0], [1.0, 2.0]], [0, 0]), "no array"),
        (lambda v, y: score_embeddings(v, ["a"] * 89 + [None]), "1 of 90 labels are missing"),
        (lambda v, y: score_embeddings(v, [[1]] * 89 + [[]]), "Item 89"),
        (lambda v, y: score_rankings([[0, 1]]), "Either labels or relevant"),
        (lambda v, y: score_rankings([[0, 1]], relevant=[[1]]), "Give n_base"),
        (lambda v, y: score_rankings([[0, 9]], relevant=[[1]], n_base=9), "retrieves the item 9"),
        (lambda v, y: score_rankings([[0, 0]], relevant=[[1]], n_base=9), "an item twice"),
        (lambda v, y: score_rankings([[-1, 0]], relevant=[[1]], n_base=9), "Pad only the tail"),
        (lambda v, y: score_rankings([[0.5]], relevant=[[1]], n_base=9), "whole numbers"),
        (lambda v, y: score_rankings([[0]], relevant=[[1, 9]], n_base=9), "the item 9"),
        (lambda v, y: score_rankings([[0]], relevant=[[1, 2]], n_base=1), "2 relevant items"),
        (lambda v, y: score_rankings([[0]], relevant=[[]], n_base=9), "Nothing in the base"),
        (
            lambda v, y: score_rankings([[0]], relevant=[[1], [2]], n_base=9),
            "2 queries but 1 rankings",
        ),
        (
            lambda v, y: score_rankings([[0]], relevant=[[1]], n_base=9, graded=True),
            "graded and relevant",
        ),
        (lambda v, y: score_rankings([[0]], labels=y), "90 items that are queries but 1"),
        (lambda v, y: score_rankings([[0]], labels=y, n_base=3), "n_base and labels"),
        (lambda v, y: score_hits(HITS, 1), "2 relevant results"),
        (lambda v, y: score_hits(HITS, 5, n_base=4), "5 relevant items, but the base has 4"),
        (lambda v, y: score_hits(HITS, metrics="recall@1"), "Give n_relevant"),
        (lambda v, y: score_hits(HITS, [2, 2]), "for 1 queries"),
        (lambda v, y: score_hits([[0.5, -1.0]], 1), "-1.0"),
        (lambda v, y: score_hits([[0.5, np.nan]], 1), "nan"),
        (lambda v, y: score_hits([[0.5, 0.0]], 2, metrics="ndcg@2"), "Give ideal_gains"),
        (lambda v, y: score_hits(HITS, 3, metrics="recall@4"), "needs 4 ranks"),
        (lambda v, y: score_hits([[0, 0]], 0), "None of the queries"),
        (lambda v, y: compare(score_hits(HITS, 2), score_hits(HITS, 3)), "same queries"),
    ],
)
def test_what_cannot_be_meant_is_refused(items, call, words):
    """One sentence says what was found, with the value."""
    with pytest.raises(CbirBenchError) as error:
        call(*items)

    assert words in str(error.value)
