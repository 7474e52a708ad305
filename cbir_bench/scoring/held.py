"""A TREC run held against qrels, or against labels: what was found of what is relevant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import DataError
from cbir_bench.core.ranking import Grades, PositiveRanks
from cbir_bench.scoring.trec import names_of
from cbir_bench.scoring.truths import refuse_if_nothing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.scoring.items import Items
    from cbir_bench.scoring.trec import Judged, Lists, Names


class Held(NamedTuple):
    """Ranks of relevant documents.

    Attributes:
        positives: of every query.
        queries: what the queries are called.
        notes: what a reader should know about the two files.
    """

    positives: PositiveRanks
    queries: tuple[str, ...]
    notes: tuple[str, ...]


def against_qrels(lists: Lists, judged: Judged, n_base: int | None = None) -> Held:
    """Return the ranks of a run's relevant documents.

    Queries are those of the qrels: one that the run lacks has found nothing, and counts as 0. One that the
    qrels lack is left out. A gain above 0 is relevant, by so much; 0 and below is not, as for trec_eval.

    Args:
        lists: the run.
        judged: the qrels.
        n_base: how many documents a list could hold; a run that lists all of them is complete.

    Raises:
        DataError: if run and qrels have no query in common, nothing is relevant, or a query has more relevant
            documents, or results, than ``n_base``.
    """
    n_queries = len(judged.queries)
    relevant = judged.gain > 0
    n_relevant = np.bincount(judged.query[relevant], minlength=n_queries)
    query_of = judged.queries.places(lists.queries)
    if (query_of == NO_ITEM).all():
        raise DataError(
            f"{lists.file} and {judged.file} have no query in common: {lists.queries[0]!r} is in the first, "
            f"{judged.queries[0]!r} in the second. Give files of the same queries."
        )
    refuse_if_nothing(n_relevant)
    complete = n_base is not None and _fills(lists, n_relevant, n_base)
    ranks, gains, starts = _found(lists, judged, query_of)
    grades = None
    if (judged.gain[relevant] != 1).any():
        grades = _grades(
            judged.query[relevant], judged.gain[relevant].astype(np.float64), n_queries
        )
    positives = PositiveRanks(
        ranks=ranks,
        starts=starts,
        n_relevant=n_relevant,
        depth=None if complete else lists.longest,
        gains=None if grades is None else gains,
        grades=grades,
    )
    there = np.zeros(n_queries, bool)
    there[query_of[query_of != NO_ITEM]] = True
    notes = (*_on_queries(there, query_of), *notes_on(lists))
    return Held(positives, tuple(judged.queries.tolist()), notes)


def _found(
    lists: Lists, judged: Judged, query_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return ranks and gains of the relevant documents in the lists, and where each query's begin."""
    n_documents = len(lists.documents)
    document = lists.documents.places(judged.documents)[judged.document]
    kept = (judged.gain > 0) & (document != NO_ITEM)
    keys = judged.query[kept] * n_documents + document[kept]
    order = np.argsort(keys)
    keys, gains = keys[order], judged.gain[kept][order].astype(np.float64)
    query = query_of[lists.query]
    wanted = query * n_documents + lists.document  # below 0 where the qrels lack the query
    places = np.searchsorted(keys, wanted).clip(max=max(0, len(keys) - 1))
    hits = np.flatnonzero(keys[places] == wanted) if len(keys) else np.empty(0, np.int64)
    hits = hits[np.argsort(query[hits], kind="stable")]
    counts = np.bincount(query[hits], minlength=len(judged.queries))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return lists.rank[hits], gains[places[hits]], starts


def _grades(query: NDArray[np.int64], gain: NDArray[np.float64], n_queries: int) -> Grades:
    counts = np.bincount(query, minlength=n_queries)
    return Grades(
        values=gain[np.lexsort((-gain, query))],
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        highest=float(gain.max()),
    )


def _fills(lists: Lists, n_relevant: NDArray[np.int64], n_base: int) -> bool:
    """Return whether every list holds the whole base.

    Raises:
        DataError: if a query has more relevant documents, or results, than there are documents.
    """
    for most, what in ((int(n_relevant.max()), "relevant documents"), (lists.longest, "results")):
        if most > n_base:
            raise DataError(
                f"A query has {most} {what}, but the base has {n_base} documents. Correct --n-base, or the "
                "files."
            )
    return bool((np.bincount(lists.query) == n_base).all())


def _on_queries(there: NDArray[np.bool_], query_of: NDArray[np.int64]) -> list[str]:
    notes = []
    if not there.all():
        n_lost = np.count_nonzero(~there)
        notes.append(
            f"{n_lost} of {len(there)} queries of the qrels are not in the run: they have "
            "found nothing, and count as 0."
        )
    unjudged = int(np.count_nonzero(query_of == NO_ITEM))
    if unjudged:
        notes.append(
            f"{unjudged} of {len(query_of)} queries of the run are not in the qrels, and are left out."
        )
    return notes


def notes_on(lists: Lists) -> list[str]:
    """Return what a reader should know about a run: ties, and lists that are shorter than others."""
    notes = []
    if lists.n_ties:
        notes.append(
            f"{lists.n_ties:,} of {len(lists.query):,} results have the same score as the one before: these "
            "are in the order of their ids, ascending (trec_eval: descending)."
        )
    lengths = np.bincount(lists.query)
    lengths = lengths[lengths > 0]
    short = int(np.count_nonzero(lengths < lists.longest))
    if short:
        notes.append(
            f"{short} of {len(lengths)} lists are shorter than {lists.longest}; what they lack counts as not "
            "relevant."
        )
    return notes


class Matched(NamedTuple):
    """A run as rows of labelled items.

    Attributes:
        ids: ``(n_queries, depth)`` rows of the base, padded with ``NO_ITEM``.
        query_rows: ``(n_queries,)`` rows of the queries, ascending.
    """

    ids: Ids
    query_rows: NDArray[np.int64]


def matched(lists: Lists, base: Items, queries: Items | None) -> Matched:
    """Return a run whose documents and queries are items of tables.

    Args:
        lists: the run.
        base: the items that were searched.
        queries: those that were searched for; None if they are items of the base. Of the base, those are
            queries that the run has; of queries apart, all.

    Raises:
        DataError: if a document or a query is not among them.
    """
    row_of_document = _rows(lists.documents, base, f"{lists.file} retrieves the document")
    whose = queries or base
    row_of_query = _rows(lists.queries, whose, f"{lists.file} has the query")
    rows = np.arange(len(whose)) if queries is not None else np.sort(row_of_query)
    place = np.searchsorted(rows, row_of_query[lists.query])
    ids = np.full((len(rows), lists.longest), NO_ITEM, np.int64)
    ids[place, lists.rank - 1] = row_of_document[lists.document]
    return Matched(ids, rows)


def _rows(names: Names, items: Items, sentence: str) -> NDArray[np.int64]:
    """Return the row of each name."""
    rows = names_of(items.names()).places(names)
    unknown = np.flatnonzero(rows == NO_ITEM)
    if len(unknown):
        raise DataError(
            f"{sentence} {names[unknown[0]]!r}, which the labels do not know ({len(unknown)} such). "
            "Give labels of the same items, with a column id."
        )
    return rows
