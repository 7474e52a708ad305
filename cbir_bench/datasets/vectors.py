"""Items whose vectors are at hand and whose images are not: ids and labels out of a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple

import numpy as np
from annotated_types import Ge

from cbir_bench.core.dataset import COARSE, UNKNOWN, Dataset, LabelSets, Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.splits import Part, read_part, read_role
from cbir_bench.files.columns import CAMERA, GROUP, ID, LABEL, Columns, is_nothing, text_of
from cbir_bench.files.reading import read_item_columns, without_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import DataContext

_SPLIT: Final = "split"
_ROLE: Final = "role"


class Item(NamedTuple):
    """What is known of an item; empty where nothing is."""

    id: str
    labels: tuple[str, ...]
    part: Part
    coarse: str
    camera: str
    group: str


@dataclass(frozen=True, slots=True)
class NoImages:
    """Images that nobody has."""

    name: str

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return no images where none is asked for.

        Raises:
            DataError: if one is.
        """
        if len(rows):
            raise DataError(
                f"The data set {self.name!r} has vectors and no images. Use the model given_vectors, and "
                "nothing that looks at pixels."
            )
        return []


@DATASETS.register("vectors")
@dataclass(frozen=True, kw_only=True)
class VectorItems:
    """Items of which you have embeddings, with ids and labels, but no images.

    For the model given_vectors, with this file or others that have the same ids. Columns are those of a
    .parquet, .csv or .tsv file, or the arrays of a .npz or .safetensors file; those of FILE.npy are in
    FILE.npy.csv. Without a split column every item is in the test split.

    Attributes:
        file: ids and labels, with or without the embeddings, relative to a data folder.
        id_column: column of the ids; if empty, the one called id or ids.
        label_column: column of the class, or of lists of classes; if empty, the one called label or labels.
        label_separator: what stands between several labels in one cell, for example "|"; empty: one label.
        split_column: column that says train, val, test, query or gallery; if empty, the one called split,
            if there is one.
        role_column: column that says query or base; if empty, the one called role, if there is one.
        coarse_column: column of a larger class, for the protocols' option labels = "coarse"; none if empty.
        camera_column: column of the camera that took the photo; if empty, the one called camera, if there
            is one.
        group_column: column that is the same for near-duplicates; if empty, the one called group, if there
            is one.
        every: use every n-th item only, 1 or more.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    file: str = ""
    id_column: str = ""
    label_column: str = ""
    label_separator: str = ""
    split_column: str = ""
    role_column: str = ""
    coarse_column: str = ""
    camera_column: str = ""
    group_column: str = ""
    every: Annotated[int, Ge(1)] = 1

    def open(self, context: DataContext) -> Dataset:
        """Return the data set."""
        if not self.file:
            raise SettingError('vectors has no file. Set file = "EMBEDDINGS.parquet", for example.')
        found = read_item_columns(str(context.find(without_key(self.file)[0])))
        items = self._items(Columns(file=self.file, columns=found.columns))[:: self.every]
        title = Path(self.file).stem
        coarse = [item.coarse for item in items]
        return Dataset(
            name=title,
            ids=tuple(item.id for item in items),
            labels=LabelSets.of(item.labels for item in items),
            splits=np.array([item.part.split for item in items], np.int8),
            roles=np.array([item.part.role for item in items], np.int8),
            images=NoImages(title),
            content_hash=hashlib.sha256(repr([tuple(item) for item in items]).encode()).hexdigest()[
                :16
            ],
            more_labels={COARSE: LabelSets.of(coarse)} if self.coarse_column else {},
            cameras=_codes([item.camera for item in items]),
            groups=_codes([item.group for item in items]),
        )

    def _items(self, columns: Columns) -> list[Item]:
        ids = Columns(file=self.file, columns={ID: columns.get(self.id_column or ID)}).ids() or ()
        n = len(ids)
        labels = self._labels(_column(columns, self.label_column or LABEL, n))
        splits = _cells(columns, self.split_column, _SPLIT, n)
        roles = _cells(columns, self.role_column, _ROLE, n)
        coarse = _cells(columns, self.coarse_column, "", n)
        cameras = _cells(columns, self.camera_column, CAMERA, n)
        groups = _cells(columns, self.group_column, GROUP, n)
        if self.coarse_column and "" in coarse:
            raise DataError(
                f"Row {coarse.index('')} of {self.file} has no {self.coarse_column!r}. Fill it in."
            )
        parts = [self._part(row, splits[row], roles[row]) for row in range(n)]
        columns_of_items = (ids, labels, parts, coarse, cameras, groups)
        return [Item(*one) for one in zip(*columns_of_items, strict=True)]

    def _labels(self, column: Any) -> list[tuple[str, ...]]:
        """Return the labels of each item."""
        found = []
        for row, cell in enumerate(column):
            several = cell if isinstance(cell, list | tuple) else [cell]
            if self.label_separator and isinstance(cell, str):
                several = cell.split(self.label_separator)
            names = tuple(_text(one).strip() for one in several if not is_nothing(one))
            if not names:
                raise DataError(
                    f"Row {row} of {self.file} has no label. Give each item one, or leave it out."
                )
            found.append(names)
        return found

    def _part(self, row: int, split: str, role: str) -> Part:
        where = f"Row {row} of {self.file}"
        part = read_part(split, where) if split else Part(Split.TEST)
        side = read_role(role, where)
        return part if side is Role.ANY else Part(part.split, side)


def _column(columns: Columns, name: str, n_items: int) -> Any:
    """Return a column that has a row for each item."""
    column = columns.get(name)
    if len(column) != n_items:
        raise DataError(
            f"{columns.file} has {len(column)} entries of {name!r} for {n_items} ids. Give one for each."
        )
    return column


def _cells(columns: Columns, wanted: str, usual: str, n_items: int) -> list[str]:
    """Return a column as text; empty cells where there is nothing, or no such column."""
    if not wanted and usual not in columns.columns:
        return [""] * n_items
    column = _column(columns, wanted or usual, n_items)
    return ["" if is_nothing(one) else _text(one) for one in column]


def _text(cell: Any) -> str:
    """Return a cell as text; a whole number that a missing one beside it made a fraction is whole again."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return text_of(cell)


def _codes(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Return a number for each name, ``UNKNOWN`` for an empty one; None if all are."""
    code = {name: i for i, name in enumerate(sorted({name for name in names if name}))}
    return np.array([code.get(name, UNKNOWN) for name in names], np.int64) if code else None
