"""One side of a search, queries or base: what each item is called, shows, and was taken by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir_bench.core.errors import DataError
from cbir_bench.files.columns import CAMERA, GROUP, ID, LABEL, Columns, as_numbers
from cbir_bench.files.reading import (
    beside,
    ending,
    located,
    read_columns,
    read_item_columns,
)
from cbir_bench.scoring.labels import as_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cbir_bench.scoring.labels import Marks

_NOT_LABELS = (ID, CAMERA, GROUP)


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """What is known of items besides their vectors.

    Attributes:
        labels: by the name of the column: one label or several for each item.
        ids: names, none twice; None if items have none.
        cameras, groups: values as they were given; None if there are none.
    """

    labels: Mapping[str, Marks]
    ids: tuple[str, ...] | None = None
    cameras: Any = None
    groups: Any = None

    def __len__(self) -> int:
        return len(next(iter(self.labels.values())))

    def take(self, rows: NDArray[np.int64]) -> Items:
        """Return some items, in that order."""

        def taken(column: Any) -> Any:
            if column is None:
                return None
            return (
                [column[i] for i in rows] if isinstance(column, list) else np.asarray(column)[rows]
            )

        return replace(
            self,
            labels={name: taken(column) for name, column in self.labels.items()},
            ids=None if self.ids is None else tuple(self.ids[i] for i in rows),
            cameras=taken(self.cameras),
            groups=taken(self.groups),
        )

    def named(self, row: int) -> str:
        """Return what an item is called: its id, or else its row."""
        return str(row) if self.ids is None else self.ids[row]

    def names(self) -> tuple[str, ...]:
        """Return what every item is called."""
        return self.ids or tuple(map(str, range(len(self))))


def read_items(
    path: str,
    label_columns: Sequence[str],
    separator: str = "",
    cameras: str = "",
    *,
    embeddings: str = "",
) -> Items:
    """Return the items of a file.

    Args:
        path: of an array of labels, or of a table; empty to take the labels beside the vectors in
            ``embeddings``.
        label_columns: which columns are labels; by default ``label``, or the only one that can be.
        separator: what stands between several labels in one cell of text; empty: one label each.
        cameras: path of an array of cameras, or of a table with a column ``camera``; by default the
            table's own column, if it has one.
        embeddings: path of vectors; only read where ``path`` is empty.

    Raises:
        DataError, InvalidArrayError: if the file cannot be read, or does not have what is asked for.
    """
    columns = read_columns(path) if path else _beside_vectors(embeddings, label_columns)
    own = columns.columns
    return Items(
        labels={
            name: _labels(columns, name, separator) for name in label_columns or [_only(columns)]
        },
        ids=columns.ids(),
        cameras=_cameras(cameras, len(next(iter(own.values())))) if cameras else own.get(CAMERA),
        groups=own.get(GROUP),
    )


def _beside_vectors(path: str, label_columns: Sequence[str]) -> Columns:
    """Return what a file of vectors says of its items.

    Raises:
        DataError: if it has no labels.
    """
    place, _ = located(path)
    alone = ending(place) == ".npy" and beside(place) is None
    columns = Columns(file=path, columns={}) if alone else read_item_columns(path)
    missing = [name for name in label_columns or [LABEL] if name not in columns.columns]
    if missing:
        raise DataError(
            f"{path} has no {missing[0]!r} beside its vectors, so nothing tells what is relevant. "
            "Give --labels, or --query-labels for queries."
        )
    return columns


def in_order_of(items: Items, columns: Columns, path: str) -> Items:
    """Return items in the order of a table of vectors, found by id where both have ids.

    Raises:
        DataError: if a vector's item is unknown.
    """
    wanted = columns.ids()
    if wanted is None or items.ids is None or wanted == items.ids:
        return items
    place = {name: row for row, name in enumerate(items.ids)}
    unknown = next((name for name in wanted if name not in place), None)
    if unknown is not None:
        raise DataError(
            f"{columns.file} has the item {unknown!r}, which {path} does not know. Give its labels, or "
            "leave it out."
        )
    return items.take(np.array([place[name] for name in wanted], np.int64))


def _only(columns: Columns) -> str:
    """Return the column of labels where none was named."""
    others = [name for name in columns.columns if name not in _NOT_LABELS]
    if LABEL in others:
        return LABEL
    if len(others) == 1:
        return others[0]
    raise DataError(
        f"{columns.file} has no column {LABEL!r}. Name the one that holds labels with --label-column; its "
        f"columns: {', '.join(map(str, columns.columns))}."
    )


def _labels(columns: Columns, name: str, separator: str) -> Marks:
    column = columns.get(name)
    what = "labels" if name == LABEL else f"labels {name!r}"
    if separator:
        if isinstance(column, list) or np.asarray(column).dtype.kind not in "OUT":
            raise DataError(
                f"The column {name!r} of {columns.file} is no text that {separator!r} could divide. "
                "Leave out --label-separator."
            )
        cells = [str(cell).split(separator) for cell in column]
        return as_labels([[one.strip() for one in cell if one.strip()] for cell in cells], what)
    return as_labels(as_numbers(column), what)


def _cameras(path: str, n_items: int) -> Any:
    columns = read_columns(path)
    column = columns.get(CAMERA if CAMERA in columns.columns else _only(columns))
    if len(column) != n_items:
        raise DataError(
            f"{path} has {len(column)} cameras for {n_items} items. Give one for each item."
        )
    return column
