"""Persons seen by six cameras. Zheng, Shen, Tian, Wang, Wang and Tian, ICCV 2015 (Market-1501)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.archive import open_tree
from cbir_bench.datasets.manifests import find_manifest
from cbir_bench.datasets.picture_set import Item, OnBadImage, picture_dataset
from cbir_bench.datasets.pictures import is_picture
from cbir_bench.datasets.splits import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cbir_bench.core.dataset import DataContext, Dataset
    from cbir_bench.datasets.archive import Source

_PARTS: Final = {
    "bounding_box_train": Part(Split.TRAIN),
    "query": Part(Split.TEST, Role.QUERY),
    "bounding_box_test": Part(Split.TEST, Role.BASE),
}
_NAME: Final = re.compile(r"(?P<person>-1|\d+)_c(?P<camera>\d+)")
_NOBODY: Final = -1
_DISTRACTOR: Final = 0
_SHOWN: Final = 3


class _Seen(NamedTuple):
    """A picture: the name of its file, whom it shows by number, and the camera."""

    file: str
    person: int
    camera: str


@DATASETS.register("market1501")
@dataclass(frozen=True, kw_only=True)
class Market1501:
    """Market-1501 as it is published, and sets with its layout: 1,501 persons, six cameras.

    The folder ``query`` has the queries, ``bounding_box_test`` the base and ``bounding_box_train`` other
    persons to train with. Names begin with person and camera: ``0002_c1s1_000451_03.jpg``. Results of the
    query's own person and camera are junk (the protocols' option ``same_camera``). Pictures of person 0
    are distractors: relevant to nobody. Those of person -1 are junk for every query, hence left out.

    Attributes:
        root: folder or .zip archive of the three folders, relative to a data folder.
        on_bad_image: "stop" at pictures that cannot be read, or "skip" them with a note.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    root: str = "Market-1501-v15.09.15"
    on_bad_image: OnBadImage = "stop"

    def open(self, context: DataContext) -> Dataset:
        """Return the data set; every picture that is new or has changed is decoded once."""
        tree = open_tree(context.find(self.root))
        names = tree.names()
        seen = {folder: _seen(tree, names, folder) for folder in _PARTS}
        for folder in ("query", "bounding_box_test"):
            if not seen[folder]:
                raise DataError(
                    f"{self.root!r} has no pictures in {folder}/. Give the folder that has query/, "
                    "bounding_box_test/ and bounding_box_train/."
                )
        items = [_item(tree, one, part) for f, part in _PARTS.items() for one in seen[f]]
        kept = [item for item in items if item is not None]
        return picture_dataset(
            tree.title,
            kept,
            on_bad_image=self.on_bad_image,
            cache=context.cache,
            notes=[
                find_manifest("market1501").note,
                *_notes(Counter(one.person for one in seen["bounding_box_test"])),
            ],
        )


def _seen(tree: Source, names: Iterable[str], folder: str) -> list[_Seen]:
    """Return the pictures of a folder, at any depth of an archive.

    Raises:
        DataError: if the name of one does not begin with person and camera.
    """
    files = [name for name in names if is_picture(name) and name.split("/")[-2:-1] == [folder]]
    found = [(file, _NAME.match(file.rpartition("/")[2])) for file in files]
    strange = [file for file, match in found if match is None]
    if strange:
        raise DataError(
            f"{len(strange)} of {len(files)} pictures in {str(tree.path)!r} are not called like "
            f"0002_c1s1_000451_03.jpg, by person and camera: {', '.join(strange[:_SHOWN])}. Rename them, "
            "or move them away."
        )
    return [_Seen(file, int(m["person"]), m["camera"]) for file, m in found if m is not None]


def _item(tree: Source, seen: _Seen, part: Part) -> Item | None:
    """Return the item, or None for a picture that is junk for every query."""
    if seen.person == _NOBODY:
        return None
    # A label of its own: distractors must not be relevant to each other either.
    label = f"{seen.person:04d}" if seen.person != _DISTRACTOR else f"distractor {seen.file}"
    return Item(seen.file, tree, seen.file, (label,), part, camera=seen.camera)


def _notes(persons: Counter[int]) -> list[str]:
    """Return what became of the pictures in the base that show none of the persons asked for."""
    notes = []
    if persons[_DISTRACTOR]:
        notes.append(
            f"{persons[_DISTRACTOR]} pictures of the base are distractors: relevant to nobody."
        )
    if persons[_NOBODY]:
        notes.append(
            f"{persons[_NOBODY]} pictures of person -1 are left out: they are junk for every query."
        )
    return notes
