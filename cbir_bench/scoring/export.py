"""Rankings and relevance of exact search as TREC files that every reader puts in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.errors import DataError
from cbir_bench.metrics.neighbours import exact_neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Ids
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.metrics.similarity import Similarities

_QUERIES_AT_ONCE: Final = 4096
_TAG: Final = "cbir_bench"
_MAGNITUDE: Final = 0x7FFFFFFF


def run_file(
    similarities: Similarities,
    truth: GroundTruth,
    depth: int,
    queries: Sequence[str],
    documents: Sequence[str],
) -> bytes:
    """Return the first ``depth`` results of exact search as a TREC run, without junk and the query itself.

    Readers round scores to float32 and order equal ones in ways of their own. So scores are float32
    similarities, lowered by as few units in the last place as it takes for each to be below the one before.

    Args:
        similarities: of the queries and the base of ``truth``.
        truth: tells what is junk.
        depth: results of each query, fewer where the base has fewer.
        queries: what the queries are called.
        documents: what the items of the base are called.

    Raises:
        DataError: if a name is empty or has blanks in it, so that it could not be read again.
    """
    _refuse_blanks(queries, "queries")
    _refuse_blanks(documents, "items")
    most_junk = 0 if truth.junk is None else int(truth.junk.counts.max(initial=0))
    found = exact_neighbours(similarities, truth.self_ids, depth + most_junk)
    ids = found.ids if truth.junk is None else _without(found.ids, truth.junk.find(found.ids)[1])
    order = np.argsort(ids == NO_ITEM, axis=1, kind="stable")[:, :depth]
    ids = np.take_along_axis(ids, order, axis=1)
    scores = falling(np.take_along_axis(found.similarity, order, axis=1))
    rows, places = np.nonzero(ids != NO_ITEM)
    return _lines(
        [
            _named(queries, rows),
            _repeated("Q0", len(rows)),
            _named(documents, ids[rows, places]),
            places + 1,
            scores[rows, places],
            _repeated(_TAG, len(rows)),
        ]
    )


def qrels_file(truth: GroundTruth, queries: Sequence[str], documents: Sequence[str]) -> bytes:
    """Return the relevant items of each query as TREC qrels.

    Args:
        truth: who is relevant to whom.
        queries: what the queries are called.
        documents: what the items of the base are called.

    Raises:
        DataError: if gains are fractions, which such files cannot hold, or a name has blanks in it.
    """
    _refuse_blanks(queries, "queries")
    _refuse_blanks(documents, "items")
    parts = []
    for start in range(0, len(truth.query_rows), _QUERIES_AT_ONCE):
        rows = slice(start, min(start + _QUERIES_AT_ONCE, len(truth.query_rows)))
        lists = truth.relevant_items(rows)
        gains = np.ones(len(lists.items)) if lists.gains is None else lists.gains
        if (gains != np.rint(gains)).any():
            raise DataError(
                "Gains by the overlap of labels are fractions, but TREC files hold whole numbers. "
                "Leave out --graded or --write-qrels."
            )
        parts.append(
            _lines(
                [
                    _named(queries, lists.queries + start),
                    _repeated("0", len(gains)),
                    _named(documents, lists.items),
                    gains.astype(np.int64),
                ]
            )
        )
    return b"".join(parts)


def falling(similarity: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 numbers that fall along each row, as near to the given ones as that allows.

    Args:
        similarity: ``(n_queries, depth)`` finite but for a tail of minus infinity, never rising.

    >>> import numpy as np
    >>> falling(np.array([[1.0, 1.0, 0.5]]))[0].tolist()
    [1.0, 0.9999999403953552, 0.5]
    """
    finite = np.where(np.isfinite(similarity), similarity, -np.finfo(np.float32).max)
    bits = finite.astype(np.float32).view(np.int32).astype(np.int64)
    # Numbered so that neighbouring floats have neighbouring numbers, both zeros the same.
    numbers = np.where(bits >= 0, bits, -(bits & _MAGNITUDE))
    steps = np.arange(similarity.shape[1])
    numbers = np.minimum.accumulate(numbers + steps, axis=1) - steps
    bits = np.where(numbers >= 0, numbers, -numbers - _MAGNITUDE - 1)
    return bits.astype(np.int32).view(np.float32)


def _without(ids: Ids, removed: NDArray[np.bool_]) -> Ids:
    return np.where(removed, NO_ITEM, ids)


def _named(names: Sequence[str], rows: NDArray[np.int64]) -> Any:
    import pyarrow as pa

    return pa.array(names, pa.string()).take(pa.array(rows))


def _repeated(text: str, n: int) -> Any:
    import pyarrow as pa

    return pa.repeat(text, n)


def _lines(columns: Sequence[Any]) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    table = pa.table({str(i): column for i, column in enumerate(columns)})
    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    csv.write_csv(table, sink, options)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _refuse_blanks(names: Sequence[str], what: str) -> None:
    wrong = next(
        (name for name in names if not name or len(name.split()) != 1 or '"' in name), None
    )
    if wrong is not None:
        raise DataError(
            f"One of the {what} is called {wrong!r}, but names in TREC files have neither blanks nor "
            "quotation marks. Give other ids."
        )
