"""The nouns Dataset and LabelSets: what there is, what it shows, and which part each item plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import numpy as np

from cbir_bench.core.errors import DataError, did_you_mean
from cbir_bench.core.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image, Space
    from cbir_bench.core.judgements import Judgements

FINE: Final = "fine"
"""What a data set's own labels are called beside those of another grain."""
COARSE: Final = "coarse"
"""What the labels of larger classes are called, where each item has one of them, too."""
UNKNOWN: Final = -1
"""The camera, or the group, of an item that has none."""


class Split(IntEnum):
    """What an item may be used for: training a model, choosing its settings, or evaluation."""

    TRAIN = 0
    VAL = 1
    TEST = 2


class Role(IntEnum):
    """Which side of a query-set an item is on; ``ANY`` leaves the choice to the protocol."""

    ANY = 0
    QUERY = 1
    BASE = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSets:
    """The labels of every item, one or several, as compressed rows.

    Attributes:
        names: the name of each label code.
        codes: ``(n_labels_given,)`` codes, ascending within an item.
        starts: ``(n_items + 1,)``; item ``i`` has ``codes[starts[i]:starts[i + 1]]``.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Iterable[str | Sequence[str]]) -> LabelSets:
        """Return the label sets of items that have a label or a sequence of labels each.

        Raises:
            DataError: if an item has no label.
        """
        sets = [(one,) if isinstance(one, str) else tuple(dict.fromkeys(one)) for one in labels]
        empty = next((row for row, one in enumerate(sets) if not one), None)
        if empty is not None:
            raise DataError(f"Item {empty} has no label. Give every item at least one.")
        names = tuple(sorted({name for one in sets for name in one}))
        code = {name: i for i, name in enumerate(names)}
        return cls(
            names=names,
            codes=np.array([c for one in sets for c in sorted(code[n] for n in one)], np.int64),
            starts=np.cumsum([0, *(len(one) for one in sets)], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def single(self) -> bool:
        """Whether every item has exactly one label."""
        return len(self.codes) == len(self)

    def take(self, rows: NDArray[np.int64]) -> LabelSets:
        """Return the label sets of some rows, in their order, with the same codes."""
        counts = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        codes = self.codes[np.repeat(self.starts[rows], counts) + within]
        return LabelSets(names=self.names, codes=codes, starts=starts)

    def renamed(self, name_of: Callable[[str], str]) -> LabelSets:
        """Return the label sets with another name for each label; labels that get the same name are one.

        The way from fine labels to coarser ones.
        """
        names = [name_of(name) for name in self.names]
        known = tuple(sorted(set(names)))
        place = {name: code for code, name in enumerate(known)}
        new = np.array([place[name] for name in names], np.int64)
        items = np.repeat(np.arange(len(self)), np.diff(self.starts))
        width = max(1, len(known))
        items, codes = np.divmod(np.unique(items * width + new[self.codes]), width)
        counts = np.bincount(items, minlength=len(self))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return LabelSets(names=known, codes=codes, starts=starts)

    def first(self) -> NDArray[np.int64]:
        """Return the ``(n_items,)`` smallest code of each item: the class, where there is one each."""
        return self.codes[self.starts[:-1]]


class ImageSource(Protocol):
    """Where the pixels of a data set are read from; safe to send to another process."""

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return the images of some rows: ``(height, width, 3)`` uint8 RGB each, sizes may differ.

        Raises:
            DataError: if an image cannot be decoded; the message names it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Items with their labels, splits and roles; pixels are read when asked for.

    Attributes:
        name: what reports call it.
        ids: ``(n_items,)`` unique names (file paths, or "class/view").
        labels: one or several labels per item.
        splits: ``(n_items,)`` values of ``Split``.
        roles: ``(n_items,)`` values of ``Role``; they matter in the test split only.
        images: reads pixels by row.
        content_hash: changes when any pixel, label, split or role does, or anything below.
        notes: what a reader should know: images skipped, duplicates found, ...
        more_labels: labels of another grain by name ("coarse"), of every item each.
        cameras: ``(n_items,)`` which camera took each picture, counted from 0; ``UNKNOWN`` where nobody
            knows; None if the data set tells of no cameras.
        groups: ``(n_items,)`` equal numbers for items that show the same thing in the same way
            (near-duplicates); ``UNKNOWN`` for an item that is alone; None if nobody has looked.
        judgements: for every item the rows that are relevant to it and those that are junk; they are in
            the place of labels, and empty for items that are no queries. None if labels decide.
        space: the similarity by which those who made the data set compare its vectors; None if they have
            none, or anybody may choose.

    Raises:
        DataError: if two items share an id, the columns differ in length, or nothing is in ``TEST``.
    """

    name: str
    ids: tuple[str, ...]
    labels: LabelSets
    splits: NDArray[np.int8]
    roles: NDArray[np.int8]
    images: ImageSource
    content_hash: str
    notes: tuple[str, ...] = ()
    more_labels: Mapping[str, LabelSets] = field(default_factory=dict)
    cameras: NDArray[np.int64] | None = None
    groups: NDArray[np.int64] | None = None
    judgements: Judgements | None = None
    space: Space | None = None

    def __post_init__(self) -> None:
        more = (*self.more_labels.values(), self.cameras, self.groups, self.judgements)
        columns = (self.ids, self.labels, self.splits, self.roles, *more)
        lengths = {len(column) for column in columns if column is not None}
        if len(lengths) != 1:
            raise DataError(
                f"The data set {self.name!r} has columns of different length: {sorted(lengths)}."
            )
        if len(set(self.ids)) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(
                f"Two items of the data set {self.name!r} have the id {twice!r}. Make ids unique."
            )
        if not len(self.rows(Split.TEST)):
            raise DataError(
                f"The data set {self.name!r} has no item in its test split, so nothing can be "
                "searched. Put some images there."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Return the rows of a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def labels_called(self, name: str) -> LabelSets:
        """Return the labels of some grain: ``FINE`` are the data set's own.

        Raises:
            DataError: if it has none of that name; the message lists those that it has.
        """
        if name == FINE:
            return self.labels
        if name not in self.more_labels:
            known = [FINE, *self.more_labels]
            raise DataError(
                f"The data set {self.name!r} has no labels called {name!r}.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}."
            )
        return self.more_labels[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataContext:
    """Where a reader finds files.

    Attributes:
        folders: folders in which relative paths are looked up, first match wins.
        cache: a folder for what was downloaded or unpacked.
    """

    folders: tuple[Path, ...]
    cache: Path

    def find(self, path: str) -> Path:
        """Return the first existing file or folder called ``path``.

        Raises:
            DataError: if it is in none of the folders.
        """
        wanted = expand_user(path)
        for folder in self.folders:
            if (folder / wanted).exists():
                return folder / wanted
        if wanted.is_absolute() and wanted.exists():
            return wanted
        looked = ", ".join(str(folder) for folder in self.folders) or "nowhere"
        raise DataError(
            f"There is no {path!r} (looked in: {looked}). Give --data-dir FOLDER, or set "
            "CBIR_BENCH_DATA to the folder that holds it."
        )


class DatasetReader(Protocol):
    """A frozen dataclass of options, registered in ``DATASETS``, that opens a data set."""

    REQUIRES: ClassVar[tuple[str, ...]]
    """Packages that ``open`` imports beyond this project's own dependencies."""

    def open(self, context: DataContext) -> Dataset:
        """Return the data set. Reads names and labels; decodes pixels only to check them.

        Raises:
            DataError: if files are missing, empty or unreadable.
        """
        ...
