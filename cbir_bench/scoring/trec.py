"""TREC's files: a run has ``query Q0 document rank score tag`` in a line, qrels ``query 0 document gain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.core.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

RUN: Final = ("query", "q0", "document", "rank", "score", "tag")
QRELS: Final = ("query", "iteration", "document", "gain")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of queries or documents, none twice, as Arrow keeps them: millions without an object each."""

    arrow: Any

    def __len__(self) -> int:
        return len(self.arrow)

    def __getitem__(self, code: int) -> str:
        return str(self.arrow[int(code)].as_py())

    def tolist(self) -> list[str]:
        """Return all of them."""
        found: list[str] = self.arrow.to_pylist()
        return found

    def places(self, others: Names) -> NDArray[np.int64]:
        """Return where each of ``others`` stands here; -1 where it does not."""
        import pyarrow.compute as pc

        found = pc.index_in(others.arrow, value_set=self.arrow).fill_null(-1)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)

    def ascending(self) -> NDArray[np.int64]:
        """Return the place of each name among all when they are sorted, by code point."""
        import pyarrow.compute as pc

        order = pc.array_sort_indices(self.arrow).to_numpy()
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places


def names_of(texts: Sequence[str]) -> Names:
    """Return names, none twice."""
    import pyarrow as pa

    return Names(pa.array(texts, pa.string()))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lists:
    """A run: documents of each query, best first.

    Attributes:
        file: what the user calls it.
        queries, documents: names.
        query: ``(n_results,)`` codes; a query's results stand together.
        document: ``(n_results,)`` codes, best first: by score descending, then by name ascending.
        rank: ``(n_results,)`` from 1 within a query.
        n_ties: results with the same score as the one before.
    """

    file: str
    queries: Names
    documents: Names
    query: NDArray[np.int64]
    document: NDArray[np.int64]
    rank: NDArray[np.int64]
    n_ties: int

    @property
    def longest(self) -> int:
        """The length of the longest list."""
        return int(self.rank.max(initial=0))

    def cut(self, depth: int) -> Lists:
        """Return the first ``depth`` results of each query."""
        kept = self.rank <= depth
        return Lists(
            file=self.file,
            queries=self.queries,
            documents=self.documents,
            query=self.query[kept],
            document=self.document[kept],
            rank=self.rank[kept],
            n_ties=self.n_ties,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """Qrels: what somebody has said of pairs of a query and a document.

    Attributes:
        file: what the user calls it.
        queries, documents: names.
        query, document: ``(n_pairs,)`` codes, no pair twice.
        gain: ``(n_pairs,)`` above 0 where relevant; 0 and below: judged and not relevant.
    """

    file: str
    queries: Names
    documents: Names
    query: NDArray[np.int64]
    document: NDArray[np.int64]
    gain: NDArray[np.int64]


def read_run(text: str) -> Lists:
    """Return a run, also out of a file that ends in ``.gz``. Ranks that it gives are not looked at.

    Raises:
        DataError: if there is no such file, it is empty, a line is no result, a score is not finite, or a
            query has a document twice.
    """
    table = _read(text, RUN, ("query", "document", "score"), float)
    queries, query = _coded(table["query"])
    documents, document = _coded(table["document"])
    score = table["score"].to_numpy()
    _refuse_not_finite(score, query, queries, text)
    _refuse_twice(query, document, queries, documents, text)
    query, document, score = _together(query, document, score)
    same = query[1:] == query[:-1]
    tied = same & (score[1:] == score[:-1])
    if tied.any():
        document = _ties_by_name(query, document, score, tied, documents)
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    lengths = np.diff(np.append(begins, len(query)))
    return Lists(
        file=text,
        queries=queries,
        documents=documents,
        query=query,
        document=document,
        rank=np.arange(1, len(query) + 1) - np.repeat(begins, lengths),
        n_ties=int(tied.sum()),
    )


def read_qrels(text: str) -> Judged:
    """Return judgements, also out of a file that ends in ``.gz``.

    Raises:
        DataError: if there is no such file, it is empty, a line is no judgement, or a pair is there twice.
    """
    table = _read(text, QRELS, ("query", "document", "gain"), int)
    queries, query = _coded(table["query"])
    documents, document = _coded(table["document"])
    _refuse_twice(query, document, queries, documents, text)
    return Judged(
        file=text,
        queries=queries,
        documents=documents,
        query=query,
        document=document,
        gain=table["gain"].to_numpy(),
    )


def _read(text: str, columns: tuple[str, ...], wanted: tuple[str, ...], number: type) -> Any:
    """Return an Arrow table; the last of the wanted columns holds numbers, the others names.

    Arrow reads millions of lines a second where columns stand one space or tab apart. Whatever else
    stands between them is tidied first, and so is a file that it refuses, to find the line.
    """
    import pyarrow as pa

    path = expand_user(text)
    if not path.is_file():
        raise DataError(f"The file {text!r} does not exist. Give the path of a TREC file.")
    first = _first_line(path)
    delimiter = "\t" if "\t" in first else " "
    try:
        if len(first.split()) == len(first.split(delimiter)):
            table = _parsed(str(path), delimiter, columns, wanted, number)
            if not _lacks_names(table, wanted[:-1]):
                return table
    except (pa.ArrowException, OSError):
        pass  # tidied below, which says in which line what is wrong
    tidy = _tidied(path, columns, columns.index(wanted[-1]), number)
    return _parsed(pa.BufferReader(tidy), " ", columns, wanted, number)


def _lacks_names(table: Any, columns: tuple[str, ...]) -> bool:
    """Return whether a name is empty: blanks beside each other, or a line that lacks a column."""
    chunks = (chunk for column in columns for chunk in table[column].chunks)
    return any("" in chunk.dictionary.to_pylist() for chunk in chunks)


def _parsed(
    source: Any, delimiter: str, columns: tuple[str, ...], wanted: tuple[str, ...], number: type
) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    types = dict.fromkeys(wanted, pa.dictionary(pa.int32(), pa.string()))
    types[wanted[-1]] = pa.float64() if number is float else pa.int64()
    return csv.read_csv(
        source,
        read_options=csv.ReadOptions(column_names=columns, block_size=8 << 20),
        parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
        convert_options=csv.ConvertOptions(
            include_columns=wanted,
            column_types=types,
            null_values=[],
        ),
    )


def _first_line(path: Path) -> str:
    """Return the first line.

    Raises:
        DataError: if there is nothing but blanks, or it cannot be read.
    """
    try:
        with _opened(path) as file:
            for line in file:
                if line.strip():
                    return str(line.decode("utf-8", "replace").rstrip("\r\n"))
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}. Write it again.") from error
    raise DataError(f"{path} is empty. Give a file with at least one line.")


def _opened(path: Path) -> Any:
    if path.suffix == ".gz":
        import gzip

        return gzip.open(path)
    return path.open("rb")


def _tidied(path: Path, columns: tuple[str, ...], place: int, number: type) -> bytes:
    """Return the lines with one space between columns, each checked.

    Raises:
        DataError: if a line has too few or too many columns, its number is none, or it is no UTF-8.
    """
    lines = []
    try:
        with _opened(path) as file:
            for row, line in enumerate(file, start=1):
                cells = line.decode("utf-8").split()
                if not cells:
                    continue
                _check_cells(cells, f"Line {row} of {path}", columns, place, number)
                cells[place] = cells[place].removeprefix("+")  # which Arrow does not read
                lines.append(" ".join(cells))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}. Write it again as UTF-8.") from error
    return "\n".join(lines).encode()


def _check_cells(
    cells: list[str],
    where: str,
    columns: tuple[str, ...],
    place: int,
    number: type,
) -> None:
    if len(cells) != len(columns):
        raise DataError(
            f"{where} has {len(cells)} columns where {len(columns)} are needed: {' '.join(columns)}. "
            "Correct it."
        )
    if not _is_number(cells[place], number):
        kind = "number" if number is float else "whole number of 64 bits"
        raise DataError(
            f"{where} has the {columns[place]} {cells[place]!r}, which is no {kind}. Correct it."
        )


def _is_number(cell: str, number: type) -> bool:
    """Return whether a cell is a number everywhere: Python alone reads 1_0, or digits of other scripts."""
    try:
        value = number(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell and (number is float or -(2**63) <= value < 2**63)


def _coded(column: Any) -> tuple[Names, NDArray[np.int64]]:
    """Return the names in a column, and the place of each row's among them."""
    joined = column.unify_dictionaries().combine_chunks()
    chunk = joined.chunk(0) if hasattr(joined, "chunk") else joined
    return Names(chunk.dictionary), chunk.indices.to_numpy().astype(np.int64)


def _refuse_not_finite(
    score: NDArray[np.float64], query: NDArray[np.int64], queries: Names, text: str
) -> None:
    wrong = np.flatnonzero(~np.isfinite(score))
    if len(wrong):
        raise DataError(
            f"{text} has the score {score[wrong[0]]} for query {queries[query[wrong[0]]]!r}, which puts its "
            f"result nowhere ({len(wrong)} of {len(score)} scores are like that). Correct what wrote it."
        )


def _refuse_twice(
    query: NDArray[np.int64],
    document: NDArray[np.int64],
    queries: Names,
    documents: Names,
    text: str,
) -> None:
    keys = np.sort(query * len(documents) + document)
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        q, d = divmod(int(keys[twice[0]]), len(documents))
        raise DataError(
            f"{text} has the document {documents[d]!r} twice for query {queries[q]!r}. List it once."
        )


def _together(
    query: NDArray[np.int64], document: NDArray[np.int64], score: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return results query by query, by score descending; most runs are already in that order."""
    other = query[1:] != query[:-1]
    in_order = bool((other | (score[1:] <= score[:-1])).all())
    if in_order and np.count_nonzero(other) == query.max(initial=0):
        return query, document, score
    order = np.lexsort((-score, query))
    return query[order], document[order], score[order]


def _ties_by_name(
    query: NDArray[np.int64],
    document: NDArray[np.int64],
    score: NDArray[np.float64],
    tied: NDArray[np.bool_],
    documents: Names,
) -> NDArray[np.int64]:
    """Return the documents with those of equal score by name ascending.

    Args:
        query: ``(n_results,)`` codes, in order.
        document: ``(n_results,)`` codes, in order but for ties.
        score: ``(n_results,)`` falling, or equal, within a query.
        tied: ``(n_results - 1,)`` True where a result and the next one have the same score.
        documents: names.
    """
    rows = np.flatnonzero(np.append(tied, False) | np.append(False, tied))
    order = np.lexsort((documents.ascending()[document[rows]], -score[rows], query[rows]))
    sorted_document = document.copy()
    sorted_document[rows] = document[rows[order]]
    return sorted_document
