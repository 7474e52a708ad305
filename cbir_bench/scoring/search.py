"""Vectors and ground truth in, scores out: what the command and the Python functions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from cbir_bench.core.errors import InvalidArrayError
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.protocols.summary import summarise
from cbir_bench.scoring.exact import search_exactly
from cbir_bench.scoring.scored import About, Units, scored_exactly
from cbir_bench.scoring.vectors import as_array
from cbir_bench.scoring.wanted import COMPLETE, OF_CAMERAS, OF_GRADES, refuse_deeper, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix, Space
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.metrics.complete import Device
    from cbir_bench.metrics.names import MetricName
    from cbir_bench.scoring.scored import Resampled, Scored

Clusters: TypeAlias = "NDArray[np.int64] | Literal['classes'] | None"


class Vectors(NamedTuple):
    """What is searched, and what for.

    Attributes:
        base: ``(n_base, dim)``, of length 1 in the space "cosine".
        queries: ``(n_queries, dim)`` likewise; None if they are rows of the base.
        space: where they are compared.
    """

    base: Matrix
    queries: Matrix | None
    space: Space

    def similarities(self, rows: NDArray[np.int64] | None) -> Similarities:
        """Return the similarities of some queries, all if ``rows`` is None, to the base."""
        queries = self.base if self.queries is None else self.queries
        taken = queries if rows is None else np.ascontiguousarray(queries[rows])
        return Similarities(queries=taken, base=self.base, space=self.space)


def score_search(
    similarities: Similarities,
    truth: GroundTruth,
    names: Sequence[MetricName],
    *,
    labels: str = "label",
    clusters: Clusters = None,
    seed: int = 0,
    curves: bool = False,
    device: Device = "auto",
    on_progress: Callable[[float], None] | None = None,
    notes: Iterable[str] = (),
) -> Scored:
    """Return the scores of exact search.

    Args:
        similarities: of the queries and the base of ``truth``.
        truth: who is relevant to whom.
        names: what to compute.
        labels: what decides relevance, for the reader.
        clusters: as for ``units_of``.
        seed: of the intervals.
        curves: whether to compute curves.
        device: what counts; the numbers are the same.
        on_progress: called with the share that is done.
        notes: for the reader, beside those on the ground truth.
    """
    units = units_of(truth, clusters)
    found = search_exactly(
        names, similarities, truth, curves=curves, device=device, on_progress=on_progress
    )
    about = About(
        n_queries=len(truth.query_rows),
        n_base=len(truth.base_rows),
        protocol="full-base" if truth.leave_one_out else "query-set",
        labels=labels,
        space=similarities.space,
        dim=similarities.base.shape[1],
        resample=resampled(clusters),
        seed=seed,
    )
    return scored_exactly(found, units, about, (*summarise(truth).notes(), *notes))


def chosen(
    names: Sequence[MetricName] | None, truth: GroundTruth, *, cameras: bool
) -> Sequence[MetricName]:
    """Return the metrics that were asked for, or those that make sense for a ground truth.

    Args:
        names: what was asked for; None: nothing in particular.
        truth: who is relevant to whom.
        cameras: whether there are any.

    Raises:
        SettingError: if a cutoff is beyond what a query can find.
    """
    n_items = len(truth.base_rows) - truth.leave_one_out
    if names is not None:
        refuse_deeper(names, n_items)
        return names
    usual = (*COMPLETE, *(OF_GRADES if truth.graded else ()), *(OF_CAMERAS if cameras else ()))
    return within(usual, n_items)


def units_of(truth: GroundTruth, clusters: Clusters) -> Units:
    """Return what averages and intervals are over.

    Args:
        truth: tells classes and numbers of relevant items.
        clusters: ``(n_queries,)`` codes of queries that are drawn together; "classes": those of a class
            are; None: each query is drawn alone.

    Raises:
        InvalidArrayError: if there are more or fewer clusters than queries.
    """
    classes = truth.classes
    return Units(
        n_relevant=truth.n_relevant,
        classes=classes,
        class_names=truth.query_labels.names,
        clusters=classes if isinstance(clusters, str) else cluster_codes(clusters, len(classes)),
    )


def cluster_codes(clusters: Any, n_queries: int) -> NDArray[np.int64] | None:
    """Return a number for the cluster of each query; None if there are no clusters.

    Raises:
        InvalidArrayError: if there are more or fewer than queries.
    """
    if clusters is None:
        return None
    array = as_array(clusters, "clusters")
    if array.shape != (n_queries,):
        raise InvalidArrayError(
            f"The clusters have shape {array.shape} for {n_queries} queries. Give one for each query."
        )
    return np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.int64)


def resampled(clusters: Any) -> Resampled:
    """Return what intervals are over."""
    if clusters is None:
        return "queries"
    return "classes" if isinstance(clusters, str) else "clusters"
