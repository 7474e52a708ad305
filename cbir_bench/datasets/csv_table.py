"""Anyone's own photos, listed in tables: path, label or labels, split, query or base role."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

from annotated_types import Ge

from cbir_bench.core.component import LATER
from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.archive import Folder, open_tree
from cbir_bench.datasets.manifests import recognise
from cbir_bench.datasets.picture_set import Item, OnBadImage, picture_dataset
from cbir_bench.datasets.pictures import UnreadableError, read_bytes
from cbir_bench.datasets.splits import Part, read_part, read_role
from cbir_bench.datasets.tables import Header, Row, Table, read_table

if TYPE_CHECKING:
    from cbir_bench.core.dataset import DataContext, Dataset
    from cbir_bench.datasets.archive import Source

_PATHS: Final = ("path", "file", "filename", "file_name", "image", "image_path", "img")
_LABELS: Final = ("label", "labels", "class", "class_id", "category", "target", "product_id")
_SPLITS: Final = ("split", "set", "subset", "partition")
_ROLES: Final = ("role",)


class Listed(NamedTuple):
    """A table with the folder that its paths start from, and the split of its rows if it has no column."""

    table: Table
    folder: str
    split: Split


class Columns(NamedTuple):
    """Where a table has what; None for a column that it has not."""

    path: int
    label: int
    split: int | None
    role: int | None
    coarse: int | None
    camera: int | None
    group: int | None


@DATASETS.register("csv")
@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """Your own photos, one line each in tables of text (.csv, .tsv, .txt), in UTF-8.

    Columns are given by the name in the header or by a number from 1. Paths start from the table's own
    folder or from the root, whichever has the file. Without a split column or a table for each split
    every photo is in the test split.

    Attributes:
        root: folder or .zip archive of the photos, relative to a data folder; the table's folder if empty.
        table: the one table, relative to the root or to a data folder; it may lie in the archive.
        train_table: in place of ``table``: the photos to train with.
        val_table: the photos to choose settings with.
        test_table: the photos to evaluate with.
        path_column: column of the photo's path; if empty, the one called path, file, image, ... or the
            first.
        label_column: column of the class; if empty, the one called label, class, category, ... or the
            second.
        label_separator: what stands between several labels in one cell, for example "|"; empty: one label.
        split_column: column that says train, val, test, query or gallery; if empty, the one called split,
            if there is one.
        role_column: column that says query or base; if empty, the one called role, if there is one.
        coarse_column: column of a larger class, for the protocols' option labels = "coarse"; none if empty.
        camera_column: column of the camera that took the photo; photos of one class by one camera are then
            junk for each other, unless the protocol keeps them. An empty cell: unknown. None if empty.
        group_column: column that is the same for near-duplicates, for the protocols' option
            near_duplicates = "exclude". An empty cell: alone. None if empty.
        delimiter: one character between columns; if empty, it is found in the first line.
        header: whether the first line names the columns; "auto" looks whether it holds a photo's name.
        every: use every n-th row only, counted over all tables from train to test, 1 or more.
        on_bad_image: "stop" at photos that are missing or cannot be read, or "skip" them with a note.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    root: str = ""
    table: str = ""
    train_table: str = ""
    val_table: str = ""
    test_table: str = ""
    path_column: str = ""
    label_column: str = ""
    label_separator: str = ""
    split_column: str = ""
    role_column: str = ""
    coarse_column: str = field(default="", metadata=LATER)
    camera_column: str = field(default="", metadata=LATER)
    group_column: str = field(default="", metadata=LATER)
    delimiter: str = ""
    header: Header = "auto"
    every: Annotated[int, Ge(1)] = 1
    on_bad_image: OnBadImage = "stop"

    def __post_init__(self) -> None:
        if self.table and (self.train_table or self.val_table or self.test_table):
            raise SettingError(
                "csv has a table and a table for one split. Give either table, or train_table, val_table "
                "and test_table."
            )
        if len(self.delimiter) > 1 or (self.delimiter and self.delimiter in '"\r\n'):
            raise SettingError(
                f"The delimiter {self.delimiter!r} cannot stand between columns. Give one character."
            )

    def open(self, context: DataContext) -> Dataset:
        """Return the data set; every photo that is new or has changed is decoded once."""
        named = self._tables()
        path = context.find(self.root) if self.root else context.find(named[0][1]).parent
        tree = open_tree(path)
        listed = [self._read(tree, name, split, context) for split, name in named]
        manifest = recognise(path)
        items = [item for one in listed for item in self._items(tree, one)]
        return picture_dataset(
            tree.title,
            items[:: self.every],
            on_bad_image=self.on_bad_image,
            cache=context.cache,
            notes=[manifest.note] if manifest else [],
        )

    def _tables(self) -> list[tuple[Split, str]]:
        """Return the name of each table, with the split of its rows."""
        names = (self.train_table, self.val_table, self.table or self.test_table)
        given = [(split, name) for split, name in zip(Split, names, strict=True) if name]
        if not given:
            raise SettingError(
                'csv has no table. Set table = "FILE.csv", or test_table and its like.'
            )
        return given

    def _read(self, tree: Source, name: str, split: Split, context: DataContext) -> Listed:
        """Return a table from beside the photos, or else from a data folder."""
        inside = _inside(tree, name)
        try:
            data = read_bytes(tree, inside) if inside else context.find(name).read_bytes()
        except (OSError, UnreadableError) as error:
            raise DataError(
                f"The table {name!r} cannot be read: {error}. Give a file of text."
            ) from error
        table = read_table(data, name, delimiter=self.delimiter, header=self.header)
        return Listed(table, posixpath.dirname(inside), split)

    def _items(self, tree: Source, listed: Listed) -> list[Item]:
        columns = self._columns(listed.table)
        return [self._item(tree, listed, row, columns) for row in listed.table.rows]

    def _columns(self, table: Table) -> Columns:
        def place(wanted: str, usual: tuple[str, ...]) -> int | None:
            name = wanted or table.first_known(usual)
            return table.column(name) if name else None

        path, label = place(self.path_column, _PATHS), place(self.label_column, _LABELS)
        return Columns(
            path=table.column("1") if path is None else path,
            label=table.column("2") if label is None else label,
            split=place(self.split_column, _SPLITS),
            role=place(self.role_column, _ROLES),
            coarse=place(self.coarse_column, ()),
            camera=place(self.camera_column, ()),
            group=place(self.group_column, ()),
        )

    def _item(self, tree: Source, listed: Listed, row: Row, columns: Columns) -> Item:
        table = listed.table
        where = f"Line {row.line} of the table {table.name!r}"
        written = table.cell(row, columns.path)
        part = Part(listed.split)
        if columns.split is not None:
            part = read_part(table.cell(row, columns.split), where)
        if columns.role is not None:
            role = read_role(row.cell(columns.role), where)
            part = Part(part.split, part.role if role == Role.ANY else role)
        return Item(
            written,
            tree,
            _file(tree, listed.folder, written),
            self._labels(table, row, columns),
            part,
            coarse="" if columns.coarse is None else table.cell(row, columns.coarse),
            camera=row.cell(columns.camera),
            group=row.cell(columns.group),
        )

    def _labels(self, table: Table, row: Row, columns: Columns) -> tuple[str, ...]:
        cell = table.cell(row, columns.label)
        if not self.label_separator:
            return (cell,)
        labels = tuple(label for one in cell.split(self.label_separator) if (label := one.strip()))
        if not labels:
            raise DataError(
                f"Line {row.line} of the table {table.name!r} has no label. Give it at least one."
            )
        return labels


def _inside(tree: Source, name: str) -> str:
    """Return the name of a table among the photos, or "": at their top, or highest in an archive."""
    if Path(name).is_absolute():
        return ""
    if tree.stamp(name) is not None:
        return name
    if isinstance(tree, Folder):
        return ""
    found = sorted((n.count("/"), n) for n in tree.names() if n.endswith(f"/{name}"))
    alone = len(found) == 1 or (len(found) > 1 and found[0][0] < found[1][0])
    return found[0][1] if alone else ""


def _file(tree: Source, folder: str, written: str) -> str:
    """Return the name of a photo's file in the tree: from the table's folder if it is there, or the top."""
    path = posixpath.normpath(written.replace("\\", "/"))
    beside = posixpath.normpath(posixpath.join(folder, path))
    return beside if tree.stamp(beside) is not None else path
