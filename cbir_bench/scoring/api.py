"""The Python functions: arrays or tensors in, every metric per query and averaged out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbir_bench.core.arrays import NO_ITEM, SPACES
from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.errors import InvalidArrayError, SettingError, UnknownNameError
from cbir_bench.core.ground_truth import GroundTruth
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.scoring.compared import Differences, differences
from cbir_bench.scoring.labels import as_labels
from cbir_bench.scoring.rankings import as_hits, as_ids, positives_of_hits, refuse_more_than
from cbir_bench.scoring.scored import About, Scored, Units, scored_ranking
from cbir_bench.scoring.search import (
    Vectors,
    chosen,
    cluster_codes,
    resampled,
    score_search,
    units_of,
)
from cbir_bench.scoring.truths import Side, check_length, refuse_if_nothing, sample, truth_of
from cbir_bench.scoring.vectors import as_vectors
from cbir_bench.scoring.wanted import of_ranking, parse_metrics, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cbir_bench.core.arrays import Space
    from cbir_bench.metrics.complete import Device
    from cbir_bench.metrics.names import MetricName
    from cbir_bench.scoring.scored import ProtocolName


def score_embeddings(
    embeddings: Any,
    labels: Any,
    *,
    metrics: str | Iterable[str] | None = None,
    protocol: ProtocolName | None = None,
    queries: Any = None,
    query_labels: Any = None,
    space: Space = "cosine",
    cameras: Any = None,
    query_cameras: Any = None,
    groups: Any = None,
    query_groups: Any = None,
    graded: bool = False,
    n_queries: int | None = None,
    clusters: Any = None,
    curves: bool = False,
    device: Device = "auto",
    seed: int = 0,
) -> Scored:
    """Return every metric of the complete rankings of exact search.

    Arguments that hold something for each item are NumPy arrays, torch tensors on any device, or lists.

    Args:
        embeddings: ``(n_base, dim)`` vectors that are searched; compared as float32.
        labels: ``(n_base,)`` whole numbers or names, or a sequence of them for each item. Two items are
            relevant to each other if they share one.
        metrics: names, or a text with commas between them; None for those that make sense.
        protocol: "full-base": every item is a query against all others. "query-set": ``queries`` are.
            None: the one that fits what was given.
        queries: ``(n_queries, dim)`` vectors of queries that are no items of the base.
        query_labels: ``(n_queries,)`` their labels.
        space: "cosine", "ip" (inner product) or "l2" (Euclidean distance).
        cameras: ``(n_base,)`` items that share a label and the camera with a query are left out of its
            ranking (Zheng et al., ICCV 2015); below 0: unknown.
        query_cameras: ``(n_queries,)``, given if ``cameras`` and ``queries`` are.
        groups: ``(n_base,)`` items of a query's group are left out of its ranking, as its near-duplicates;
            below 0: in no group.
        query_groups: ``(n_queries,)``, given if ``groups`` and ``queries`` are.
        graded: whether the gain of an item is the Jaccard overlap of its labels with the query's.
        n_queries: so many queries, drawn by ``seed``; None for all.
        clusters: ``(n_queries,)`` intervals are over clusters of queries instead of queries; "classes":
            over the queries' classes.
        curves: whether to compute the CMC and precision-recall curves.
        device: "auto", "numpy", "cpu" or "cuda": what counts; the numbers are the same.
        seed: of intervals, and of the draw of queries.

    Raises:
        UnknownNameError, SettingError: if a metric is unknown or cannot be had, or arguments exclude each
            other.
        InvalidArrayError: if arrays differ in length or dimensions, vectors hold NaN, infinity or (cosine)
            only zeros, or labels are missing or no whole numbers.
        DataError: if nothing is relevant to any query, or everything to all.

    >>> embeddings = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.5, 0.6]]
    >>> scored = score_embeddings(embeddings, ["cat", "cat", "dog", "dog"], metrics="ap,hit_rate@1")
    >>> scored.values["ap"].mean
    1.0
    >>> scored.per_query["hit_rate@1"]
    array([1., 1., 1., 1.])
    """
    _check_protocol(protocol, queries, query_labels)
    _check_space(space)
    names = None if metrics is None else parse_metrics(metrics)
    vectors = Vectors(
        base=as_vectors(embeddings, "embeddings", space),
        queries=None if queries is None else as_vectors(queries, "queries", space),
        space=space,
    )
    base = _side(len(vectors.base), "embeddings", labels, cameras, groups)
    asking = None
    if vectors.queries is not None:
        asking = _side(len(vectors.queries), "queries", query_labels, query_cameras, query_groups)
    elif query_cameras is not None or query_groups is not None:
        raise SettingError("query_cameras and query_groups go with queries. Leave them out.")
    n_all = len(base.labels if asking is None else asking.labels)
    rows = sample([str(row) for row in range(n_all)], _positive(n_queries), seed)
    truth = truth_of(base, asking, rows=rows, graded=graded)
    return score_search(
        vectors.similarities(rows),
        truth,
        chosen(names, truth, cameras=cameras is not None),
        clusters=clusters,
        seed=seed,
        curves=curves,
        device=device,
    )


def score_rankings(
    ids: Any,
    *,
    labels: Any = None,
    query_labels: Any = None,
    relevant: Sequence[Any] | None = None,
    gains: Sequence[Any] | None = None,
    junk: Sequence[Any] | None = None,
    self_ids: Any = None,
    n_base: int | None = None,
    metrics: str | Iterable[str] | None = None,
    graded: bool = False,
    clusters: Any = None,
    seed: int = 0,
) -> Scored:
    """Return every metric that rankings of an index have a value for.

    What is relevant is told by labels, or by lists. Junk and the query itself are removed from a ranking
    before ranks are counted. Metrics of the complete ranking (``ap``) have a value only if every list holds
    all of the base; else ``ap@k`` has one for every k up to the number of results.

    Args:
        ids: ``(n_queries, k)`` rows of the base, best first, or a list for each query; -1 pads the tail.
        labels: ``(n_base,)`` labels of the base, as for ``score_embeddings``.
        query_labels: ``(n_queries,)`` labels of queries that are no items of the base; None: query i is
            item i of the base, and no result of its own.
        relevant: in place of labels: for each query the rows of the base that are relevant.
        gains: as long as ``relevant``: how relevant each is, above 0.
        junk: with ``relevant``: for each query the rows that are neither relevant nor wrong.
        self_ids: with ``relevant``: ``(n_queries,)`` each query's own row of the base, -1 for none.
        n_base: with ``relevant``: how many items the base has.
        metrics: names, or a text with commas between them; None for those that make sense.
        graded: with labels: whether the gain of an item is the Jaccard overlap of labels.
        clusters: as for ``score_embeddings``.
        seed: of intervals.

    Raises:
        UnknownNameError, SettingError: if a metric is unknown, or arguments exclude each other.
        UndefinedMetricError: if a metric that was named needs more ranks than there are.
        InvalidArrayError: if an id is no item of the base, a query has one twice, or lengths differ.
        DataError: if nothing is relevant to any query, or everything to all.

    >>> ids = [[3, 0, 2], [1, 2, 3]]
    >>> scored = score_rankings(ids, relevant=[[0, 3], [0]], n_base=5, metrics=["ap@3", "recall@1"])
    >>> scored.per_query["ap@3"]
    array([1., 0.])
    >>> scored.values["recall@1"].mean, scored.values["recall@1"].micro.value
    (0.25, 0.3333333333333333)
    """
    names = None if metrics is None else parse_metrics(metrics)
    if (labels is None) == (relevant is None):
        raise SettingError(
            "Either labels or relevant have to say what is relevant. Give one of them."
        )
    if labels is not None:
        _refuse_given("labels", gains=gains, junk=junk, self_ids=self_ids, n_base=n_base)
        truth = _labelled(ids, labels, query_labels, graded=graded)
    else:
        _refuse_given("relevant", query_labels=query_labels, graded=graded or None)
        truth = _listed(relevant or [], gains, junk, self_ids, n_base)
        refuse_if_nothing(truth.n_relevant)
    rows = as_ids(ids, len(truth.base_rows))
    check_length(len(truth.query_rows), "queries", rows, "rankings")
    positives = truth.positives(rows)
    units = units_of(truth, clusters)
    if relevant is not None:
        units = Units(n_relevant=truth.n_relevant, clusters=cluster_codes(clusters, len(rows)))
    wanted = names or of_ranking(positives.depth, graded=positives.gains is not None)
    about = About(
        n_queries=len(rows),
        n_base=len(truth.base_rows),
        protocol="full-base" if truth.leave_one_out else "query-set",
        labels="label" if relevant is None else "lists",
        depth=positives.depth,
        resample=resampled(clusters),
        seed=seed,
    )
    return scored_ranking(wanted, positives, units, about, refuse=names is not None)


def score_hits(
    hits: Any,
    n_relevant: Any = None,
    *,
    metrics: str | Iterable[str] | None = None,
    ideal_gains: Sequence[Any] | None = None,
    n_base: int | None = None,
    complete: bool = False,
    clusters: Any = None,
    seed: int = 0,
) -> Scored:
    """Return every metric of rankings of which only hits, or gains, are known.

    Args:
        hits: ``(n_queries, k)`` True where a result is relevant, or how relevant it is, 0 for not at all;
            best first.
        n_relevant: ``(n_queries,)``, or one number for all: relevant items in the base, found or not. Without
            it only metrics have a value that do not ask for it: precision, hit_rate and mrr.
        metrics: names, or a text with commas between them; None for those that make sense.
        ideal_gains: for each query the gains of all its relevant items, found or not. Needed where gains
            differ and something relevant was not found.
        n_base: how many items the base has; only to check ``n_relevant``.
        complete: whether the rankings hold all of the base, so that what is not found is not there.
        clusters: ``(n_queries,)`` intervals are over clusters of queries instead of queries.
        seed: of intervals.

    Raises:
        UnknownNameError, SettingError: if a metric is unknown, or asks for what was not given.
        UndefinedMetricError: if a metric that was named needs more ranks than there are.
        InvalidArrayError: if there are more hits than relevant items, more relevant items than items, gains
            below 0 or NaN, or lengths differ.

    >>> import numpy as np
    >>> hits = np.array([[True, False, True, False, False, True]])
    >>> scored = score_hits(hits, n_relevant=4, metrics="ap@5,ndcg@3,precision@6")
    >>> {name: round(value.mean, 3) for name, value in scored.values.items()}
    {'ap@5': 0.417, 'ndcg@3': 0.704, 'precision@6': 0.5}
    """
    gains = as_hits(hits)
    names = _hit_metrics(
        metrics, gains.shape[1], known=n_relevant is not None or ideal_gains is not None
    )
    positives = positives_of_hits(gains, n_relevant, ideal_gains, names)
    refuse_more_than(positives.n_relevant, n_base)
    if complete:
        positives = positives.completed()
    if isinstance(clusters, str):
        raise SettingError("Hits tell of no classes. Give clusters as one number for each query.")
    units = Units(n_relevant=positives.n_relevant, clusters=cluster_codes(clusters, len(positives)))
    about = About(
        n_queries=len(positives),
        n_base=n_base,
        labels="hits",
        depth=positives.depth,
        resample=resampled(clusters),
        seed=seed,
    )
    return scored_ranking(names, positives, units, about, refuse=metrics is not None)


def compare(a: Scored, b: Scored, *, clusters: Any = None, seed: int = 0) -> Differences:
    """Return how the second of two systems differs from the first in every metric that both have.

    Args:
        a: scores of the first system.
        b: scores of the second system, for the same queries in the same order.
        clusters: ``(n_queries,)`` queries of one cluster are drawn together; None: as for the intervals of
            ``b``.
        seed: of the draws.

    Raises:
        InvalidArrayError: if they are of different queries or share no metric.

    >>> first = score_hits([[0, 1, 0], [0, 0, 1], [1, 0, 0]], 1, metrics="mrr@3")
    >>> second = score_hits([[1, 0, 0], [0, 1, 0], [1, 0, 0]], 1, metrics="mrr@3")
    >>> found = compare(first, second).comparisons["mrr@3"]
    >>> round(found.difference, 3), found.n_wins, found.n_ties
    (0.222, 2, 1)
    """
    if a.about.n_queries != b.about.n_queries or not np.array_equal(
        a.units.n_relevant, b.units.n_relevant
    ):
        raise InvalidArrayError(
            "The systems were not scored on the same queries: numbers of queries or of relevant items "
            "differ. Score both on the same."
        )
    codes = b.units.clusters if clusters is None else cluster_codes(clusters, b.about.n_queries)
    return differences(a.per_query, b.per_query, clusters=codes, seed=seed)


def _check_protocol(protocol: str | None, queries: Any, query_labels: Any) -> None:
    known = ("full-base", "query-set")
    if protocol is not None and protocol not in known:
        raise UnknownNameError("protocol", protocol, known)
    if (queries is None) != (query_labels is None):
        given = "query_labels" if queries is None else "queries"
        raise SettingError(f"{given} alone say nothing. Give queries and query_labels, or neither.")
    if protocol == "full-base" and queries is not None:
        raise SettingError('Under "full-base" every item is a query. Leave queries out.')
    if protocol == "query-set" and queries is None:
        raise SettingError('"query-set" needs queries and query_labels. Give them, or "full-base".')


def _check_space(space: str) -> None:
    if space not in SPACES:
        raise UnknownNameError("space", space, SPACES)


def _side(n: int, items: str, labels: Any, cameras: Any, groups: Any) -> Side:
    """Return what is known of one side.

    Raises:
        InvalidArrayError: if anything is of another length than the vectors.
    """
    marks = as_labels(labels, "labels")
    for column, what in ((marks, "labels"), (cameras, "cameras"), (groups, "groups")):
        check_length(n, items, column, what)
    return Side(labels=marks, cameras=cameras, groups=groups)


def _positive(n_queries: int | None) -> int | None:
    if n_queries is not None and n_queries < 1:
        raise SettingError(f"There cannot be {n_queries} queries. Draw 1 or more.")
    return n_queries


def _refuse_given(beside: str, **given: Any) -> None:
    name = next((name for name, value in given.items() if value is not None), None)
    if name is not None:
        raise SettingError(f"{name} and {beside} exclude each other. Leave one of them out.")


def _labelled(ids: Any, labels: Any, query_labels: Any, *, graded: bool) -> GroundTruth:
    base = Side(labels=as_labels(labels, "labels"))
    if query_labels is not None:
        return truth_of(base, Side(labels=as_labels(query_labels, "query labels")), graded=graded)
    check_length(len(base.labels), "items that are queries", ids, "rankings")
    return truth_of(base, None, graded=graded)


def _listed(
    relevant: Sequence[Any],
    gains: Sequence[Any] | None,
    junk: Sequence[Any] | None,
    self_ids: Any,
    n_base: int | None,
) -> GroundTruth:
    """Return the ground truth of lists; every query and every item is of one nameless class."""
    if n_base is None:
        raise SettingError(
            "Lists of relevant items do not tell how large the base is. Give n_base."
        )
    n_queries = len(relevant)
    check_length(n_queries, "lists of relevant items", junk, "lists of junk")
    check_length(n_queries, "lists of relevant items", gains, "lists of gains")
    judged = ItemLists.of(relevant, gains)
    refuse_more_than(judged.counts, n_base)
    own = (
        np.full(n_queries, NO_ITEM, np.int64)
        if self_ids is None
        else np.asarray(self_ids, np.int64)
    )
    alike = LabelSets(
        names=("",),
        codes=np.zeros(max(n_queries, n_base), np.int64),
        starts=np.arange(max(n_queries, n_base) + 1),
    )
    return GroundTruth(
        query_rows=np.arange(n_queries),
        base_rows=np.arange(n_base),
        query_labels=alike.take(np.arange(n_queries)),
        base_labels=alike.take(np.arange(n_base)),
        self_ids=own,
        judged=judged,
        junk=None if junk is None else ItemLists.of(junk),
    )


def _hit_metrics(
    metrics: str | Iterable[str] | None, depth: int, *, known: bool
) -> Sequence[MetricName]:
    """Return the metrics that were asked for, or those that make sense."""
    if metrics is not None:
        return parse_metrics(metrics)
    if known:
        return of_ranking(depth, graded=False)
    return within(
        ("hit_rate@1", "hit_rate@5", "hit_rate@10", "precision@10", f"mrr@{depth}"), depth
    )
