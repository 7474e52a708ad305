"""From the files of an option set to vectors, items and ground truths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.paths import expand_user
from cbir_bench.files.reading import read_vectors
from cbir_bench.protocols.near_duplicates import near_duplicate_groups
from cbir_bench.protocols.truth import revisited
from cbir_bench.scoring.items import Items, in_order_of, read_items
from cbir_bench.scoring.labels import as_codes
from cbir_bench.scoring.options import THRESHOLD
from cbir_bench.scoring.search import Vectors
from cbir_bench.scoring.truths import Side, check_length, sample, truth_of
from cbir_bench.scoring.vectors import as_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Space
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.core.judgements import Difficulty
    from cbir_bench.files.columns import Columns
    from cbir_bench.scoring.options import Options

DIFFICULTIES: Final[tuple[Difficulty, ...]] = ("easy", "medium", "hard")


class Section(NamedTuple):
    """One way to tell what is relevant.

    Attributes:
        labels: name of labels, or a difficulty.
        truth: who is relevant to whom.
    """

    labels: str
    truth: GroundTruth


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Search:
    """Everything that is searched and searched for.

    Attributes:
        vectors: of all items.
        rows: rows of the queries; None for all.
        sections: ground truths of the same queries and base.
        queries: what the queries are called.
        documents: what the items of the base are called.
        cameras: whether there are any that count.
        notes: for the reader.
    """

    vectors: Vectors
    rows: NDArray[np.int64] | None
    sections: tuple[Section, ...]
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    cameras: bool = False
    notes: tuple[str, ...] = ()


def load_search(options: Options) -> Search:
    """Return embeddings with their labels.

    Raises:
        DataError, InvalidArrayError, SettingError: if files or their contents cannot be scored.
    """
    space = space_of(options)
    base, queries = load_items(options)
    array, columns = read_vectors(options.embeddings or "", options.label_column)
    base = _matched(base, len(array), columns, options.labels, "embeddings")
    vectors = Vectors(as_vectors(array, "embeddings", space), None, space)
    if queries is not None:
        array, columns = read_vectors(options.queries or "", options.label_column)
        queries = _matched(queries, len(array), columns, options.query_labels, "queries")
        vectors = vectors._replace(queries=as_vectors(array, "queries", space))
    groups, notes = _groups(options, base, queries, vectors)
    names = (queries or base).names()
    rows = sample(names, options.n_queries, options.seed)
    cameras = uses_cameras(options, base)
    sections = tuple(
        Section(
            labels,
            truth_of(
                _side(base, labels, groups[0], cameras=cameras),
                None if queries is None else _side(queries, labels, groups[1], cameras=cameras),
                rows=rows,
                graded=options.graded,
                what=labels,
            ),
        )
        for labels in base.labels
    )
    asked = names if rows is None else tuple(names[row] for row in rows)
    return Search(
        vectors=vectors,
        rows=rows,
        sections=sections,
        queries=asked,
        documents=base.names(),
        cameras=cameras,
        notes=tuple(notes),
    )


def load_revisited(options: Options) -> Search:
    """Return embeddings of Revisited Oxford or Paris, a section for each difficulty.

    Raises:
        DataError, InvalidArrayError: if files do not fit each other.
    """
    from cbir_bench.datasets.revisited import read_ground_truth

    listed = read_ground_truth(_existing(options.revisited or ""))
    space = space_of(options)
    own, _ = read_vectors(options.embeddings or "")
    check_length(len(listed.base_names), "images in the ground truth", own, "embeddings")
    parts = [own]
    if options.distractors:
        parts.append(read_vectors(options.distractors)[0])
    asked, _ = read_vectors(options.queries or "")
    check_length(len(listed.query_names), "queries in the ground truth", asked, "query vectors")
    n_distractors = sum(len(part) for part in parts[1:])
    vectors = Vectors(
        base=as_vectors(_stacked(parts), "embeddings", space),
        queries=as_vectors(asked, "queries", space),
        space=space,
    )
    wanted = [one for one in DIFFICULTIES if _wants(options.difficulty, one)]
    distractors = (f"distractor{i}" for i in range(n_distractors))
    return Search(
        vectors=vectors,
        rows=None,
        sections=tuple(Section(one, revisited(listed, one, n_distractors)) for one in wanted),
        queries=listed.query_names,
        documents=(*listed.base_names, *distractors),
    )


def space_of(options: Options) -> Space:
    """Return where vectors are compared."""
    spaces: dict[str | None, Space] = {None: "cosine", "cosine": "cosine", "ip": "ip", "l2": "l2"}
    return spaces[options.space]


def load_items(options: Options) -> tuple[Items, Items | None]:
    """Return the labelled items of the base, and those of queries apart from it."""
    base = read_items(
        options.labels or "",
        options.label_column,
        options.label_separator or "",
        options.cameras or "",
        embeddings=options.embeddings or "",
    )
    if not (options.query_labels or options.queries):
        return base, None
    queries = read_items(
        options.query_labels or "",
        options.label_column or tuple(base.labels),
        options.label_separator or "",
        options.query_cameras or "",
        embeddings=options.queries or "",
    )
    return base, queries


def uses_cameras(options: Options, base: Items) -> bool:
    """Return whether pictures by the query's camera are junk.

    Raises:
        SettingError: if an option says so, but there are no cameras.
    """
    if base.cameras is None and options.same_camera:
        raise SettingError(
            "--same-camera changes nothing without cameras. Give --cameras, a column camera, or leave it out."
        )
    return base.cameras is not None and options.same_camera != "keep"


def sides(
    base: Items, queries: Items | None, labels: str, *, cameras: bool
) -> tuple[Side, Side | None]:
    """Return what tells relevance by one kind of labels."""
    asking = None if queries is None else _side(queries, labels, None, cameras=cameras)
    return _side(base, labels, None, cameras=cameras), asking


def _matched(items: Items, n_vectors: int, columns: Columns, path: str | None, what: str) -> Items:
    """Return items in the order of their vectors, as many as there are."""
    items = in_order_of(items, columns, path or "")
    check_length(n_vectors, what, next(iter(items.labels.values())), "labels")
    return items


def _side(items: Items, labels: str, groups: Any, *, cameras: bool) -> Side:
    return Side(
        labels=items.labels[labels], cameras=items.cameras if cameras else None, groups=groups
    )


def _groups(
    options: Options, base: Items, queries: Items | None, vectors: Vectors
) -> tuple[tuple[Any, Any], list[str]]:
    """Return the groups of near-duplicates that are junk for each other, and a note on all there are."""
    if options.near_duplicates is None:
        return (None, None), []
    given = base.groups, None if queries is None else queries.groups
    if base.groups is not None and options.duplicate_threshold is not None:
        raise SettingError(
            "--duplicate-threshold changes nothing where a column group tells near-duplicates. "
            "Leave one of them out."
        )
    if base.groups is None:
        given = _alike(vectors, options.duplicate_threshold)
    codes = as_codes([one for one in given if one is not None], "groups")
    note = _group_note(np.concatenate(codes))
    return (given if options.near_duplicates == "exclude" else (None, None)), [note]


def _alike(vectors: Vectors, threshold: float | None) -> tuple[Any, Any]:
    """Return the groups of all vectors by cosine, for the base and for queries apart from it."""
    queries = (
        np.empty((0, vectors.base.shape[1]), np.float32)
        if vectors.queries is None
        else vectors.queries
    )
    if queries.shape[1] != vectors.base.shape[1]:
        vectors.similarities(None)  # says which dimensions differ
    together = vectors.base if not len(queries) else np.concatenate([vectors.base, queries])
    groups = near_duplicate_groups(together, THRESHOLD if threshold is None else threshold)
    n_base = len(vectors.base)
    return groups[:n_base], groups[n_base:] if len(queries) else None


def _group_note(codes: NDArray[np.int64]) -> str:
    """Return a sentence on near-duplicates, whose groups have numbers from 0."""
    sizes = np.bincount(codes[codes >= 0])
    sizes = sizes[sizes > 1]
    if not len(sizes):
        return "No item is a near-duplicate of another."
    groups = "1 group" if len(sizes) == 1 else f"{len(sizes):,} groups"
    return f"{sizes.sum():,} items are near-duplicates of each other, in {groups} of up to {sizes.max()}."


def _existing(text: str) -> Path:
    path = expand_user(text)
    if not path.is_file():
        raise DataError(f"The file {text!r} does not exist. Give the path of a file.")
    return path


def _stacked(parts: Sequence[Any]) -> Any:
    """Return matrices as one; read from disk part by part, since distractors are most of the memory."""
    if len(parts) == 1:
        return parts[0]
    dims = [part.shape[1:] for part in parts]
    if len(set(dims)) > 1 or len(dims[0]) != 1:
        raise DataError(
            f"Embeddings have the shape {parts[0].shape} and distractors {parts[1].shape}. "
            "Embed both with the same model."
        )
    stacked = np.empty((sum(len(part) for part in parts), *dims[0]), np.float32)
    start = 0
    for part in parts:
        for rows in _pieces(len(part)):
            stacked[start + rows.start : start + rows.stop] = part[rows]
        start += len(part)
    return stacked


def _pieces(n: int, step: int = 1 << 16) -> Iterator[slice]:
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _wants(difficulties: Sequence[str], one: str) -> bool:
    return not difficulties or "all" in difficulties or one in difficulties
