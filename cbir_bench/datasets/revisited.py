"""Revisited Oxford and Paris. Radenovic, Iscen, Tolias, Avrithis and Chum, CVPR 2018."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError, InvalidArrayError
from cbir_bench.core.hashing import hash_array, key_of
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements, RevisitedGroundTruth, landmark_of
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.archive import open_tree
from cbir_bench.datasets.manifests import find_manifest
from cbir_bench.datasets.picture_set import Item, OnBadImage, picture_dataset
from cbir_bench.datasets.pictures import is_picture, read_bytes
from cbir_bench.datasets.plain_pickle import load_plain
from cbir_bench.datasets.splits import Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import DataContext, Dataset, ImageSource
    from cbir_bench.datasets.archive import Source

_DISTRACTOR: Final = "distractor"


@DATASETS.register("revisited_oxford_paris")
@dataclass(frozen=True, kw_only=True)
class RevisitedOxfordParis:
    """70 queries of landmarks among 4,993 photos of Oxford or 6,322 of Paris.

    People have listed what is easy, hard or junk for each query: choose with the option ``difficulty`` of
    the protocol query-set. A query is the part of its photo inside its box. All of it is the test split.

    Attributes:
        name: roxford5k or rparis6k.
        root: folder or .zip archive with ``gnd_NAME.pkl`` and the photos in ``jpg/``, relative to a data
            folder; called like the data set if empty.
        distractors: folder or .zip archive of more photos for the base that are relevant to nobody
            (R1M: 1,001,001), relative to a data folder; none if empty.
        on_bad_image: "stop" at photos that cannot be read, or "skip" them with a note, distractors only.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    name: Literal["roxford5k", "rparis6k"] = "roxford5k"
    root: str = ""
    distractors: str = ""
    on_bad_image: OnBadImage = "stop"

    def open(self, context: DataContext) -> Dataset:
        """Return the data set; every photo that is new or has changed is decoded once."""
        tree = open_tree(context.find(self.root or self.name))
        listed, folder = self._listed(tree)
        own = [*_queries(tree, folder, listed), *_base(tree, folder, listed)]
        more = _distractors(open_tree(context.find(self.distractors))) if self.distractors else []
        data = picture_dataset(
            self.name,
            [*own, *more],
            on_bad_image=self.on_bad_image,
            cache=context.cache,
            notes=[find_manifest(self.name).note],
        )
        self._check_complete(data, [item.id for item in own])
        n_queries = len(listed.query_names)
        return replace(
            data,
            images=CroppedQueries(photos=data.images, boxes=listed.boxes),
            judgements=_for_rows(listed.judgements, n_queries, len(data)),
            content_hash=key_of([data.content_hash, _hash(listed)]),
        )

    def _listed(self, tree: Source) -> tuple[RevisitedGroundTruth, str]:
        """Return what the data set's own file says, and the folder that it is in."""
        wanted = f"gnd_{self.name}.pkl"
        found = [name for name in tree.names() if name.rpartition("/")[2] == wanted]
        if not found:
            raise DataError(
                f"There is no {wanted} in {str(tree.path)!r}. Get it from the authors of Revisited Oxford "
                "and Paris, and put it beside the folder jpg/."
            )
        name = min(found, key=len)
        listed = parse_ground_truth(read_bytes(tree, name), wanted)
        return listed, name.removesuffix(wanted)

    def _check_complete(self, data: Dataset, ids: list[str]) -> None:
        """Refuse to go on without a photo that is in the lists."""
        there = set(data.ids[: len(ids)])
        missing = [one for one in ids if one not in there]
        if missing:
            raise DataError(
                f"{len(missing)} photos of {self.name} cannot be read, the first is {missing[0]!r}. Its "
                "lists need them all; only distractors can be skipped. Get the photos anew."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CroppedQueries:
    """Photos, of which the first few are cut to their boxes when they are read.

    Attributes:
        photos: reads whole photos.
        boxes: ``(n_queries, 4)`` left, top, right and bottom in pixels, of the first rows.
    """

    photos: ImageSource
    boxes: NDArray[np.float64]

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return the images of some rows: ``(height, width, 3)`` uint8 RGB each.

        Raises:
            DataError: if a photo cannot be read any more, or a box lies outside of it.
        """
        images = self.photos.read(rows)
        n_boxes = len(self.boxes)
        return [
            self._cut(image, row) if row < n_boxes else image
            for image, row in zip(images, rows, strict=True)
        ]

    def _cut(self, image: Image, row: int) -> Image:
        height, width = image.shape[:2]
        left, top, right, bottom = np.rint(self.boxes[row]).astype(np.int64)
        part = image[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
        if not part.size:
            raise DataError(
                f"The box of query {row} ({left}, {top}, {right}, {bottom}) lies outside of its photo, "
                f"which has {width} x {height} pixels. Use the photos that the boxes were drawn in."
            )
        return np.ascontiguousarray(part)


def read_ground_truth(path: Path) -> RevisitedGroundTruth:
    """Return the ground truth in a file like ``gnd_roxford5k.pkl``; no code in it is ever run.

    Raises:
        DataError: if it cannot be read, or is anything else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be read: {error.strerror or error}. Give the path of gnd_roxford5k.pkl "
            "or gnd_rparis6k.pkl."
        ) from error
    return parse_ground_truth(data, path.name)


def parse_ground_truth(data: bytes, name: str) -> RevisitedGroundTruth:
    """Return the ground truth in the bytes of a file; no code in them is ever run.

    Args:
        data: a pickle of ``imlist``, ``qimlist`` and ``gnd``, which has a box (``bbx``) and the lists
            ``easy``, ``hard`` and ``junk`` for each query.
        name: of the file, for messages.

    Raises:
        DataError: if they are anything else.
    """
    try:
        table = load_plain(data)
    except DataError as error:
        raise DataError(f"{name} is no file of lists. {error}") from error
    try:
        return _ground_truth(table)
    except (KeyError, TypeError, ValueError, OverflowError, InvalidArrayError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise _refusal(name, what) from error


def _ground_truth(table: Any) -> RevisitedGroundTruth:
    if not isinstance(table, dict):
        raise TypeError(f"it holds a {type(table).__name__} and no dictionary")
    base, queries, judged = (_list(table[name]) for name in ("imlist", "qimlist", "gnd"))
    if len(queries) != len(judged) or not queries:
        raise ValueError(f"it has {len(queries)} queries and the judgements of {len(judged)}")
    return RevisitedGroundTruth(
        query_names=tuple(map(_name, queries)),
        base_names=tuple(map(_name, base)),
        boxes=np.stack([_box(one["bbx"]) for one in judged]),
        judgements=Judgements(
            **{
                kind: ItemLists.of([_ids(one[kind], len(base)) for one in judged])
                for kind in ("easy", "hard", "junk")
            }
        ),
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"it has a {type(value).__name__} in the place of a list")
    return list(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"the name of an image is {value!r}")
    return str(value)


def _ids(value: Any, n_base: int) -> list[int]:
    numbers = np.asarray(_list(value))
    if numbers.size == 0:
        return []
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise TypeError(f"items are listed as {numbers.dtype} and not as whole numbers")
    wrong = numbers[(numbers < 0) | (numbers >= n_base)]
    if len(wrong):
        raise ValueError(f"it lists item {wrong[0]}, but has {n_base} images")
    return [int(number) for number in numbers]


def _box(value: Any) -> NDArray[np.float64]:
    box = np.asarray(_list(value), np.float64)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise ValueError(f"the box of a query is {value!r}")
    return box


def _refusal(name: str, what: str) -> DataError:
    return DataError(
        f"{name} is no ground truth of Revisited Oxford or Paris: {what.rstrip('.')}. Get "
        "gnd_roxford5k.pkl or gnd_rparis6k.pkl from the authors."
    )


def _hash(listed: RevisitedGroundTruth) -> list[str]:
    lists = (listed.judgements.easy, listed.judgements.hard, listed.judgements.junk)
    arrays = [array for one in lists for array in (one.items, one.starts)]
    return [hash_array(array) for array in (listed.boxes, *arrays)]


def _queries(tree: Source, folder: str, listed: RevisitedGroundTruth) -> list[Item]:
    part = Part(Split.TEST, Role.QUERY)
    return [
        Item(f"query/{name}", tree, f"{folder}jpg/{name}.jpg", (landmark_of(name),), part)
        for name in listed.query_names
    ]


def _base(tree: Source, folder: str, listed: RevisitedGroundTruth) -> list[Item]:
    part = Part(Split.TEST, Role.BASE)
    return [
        Item(name, tree, f"{folder}jpg/{name}.jpg", (landmark_of(name),), part)
        for name in listed.base_names
    ]


def _distractors(tree: Source) -> list[Item]:
    part = Part(Split.TEST, Role.BASE)
    files = [name for name in tree.names() if is_picture(name)]
    if not files:
        raise DataError(
            f"There is no image in {str(tree.path)!r}. Give the folder of the distractors, or leave "
            "distractors out."
        )
    return [Item(f"{_DISTRACTOR}/{file}", tree, file, (_DISTRACTOR,), part) for file in files]


def _for_rows(judgements: Judgements, n_queries: int, n_items: int) -> Judgements:
    """Return the lists of every item, as rows: queries come first, the base follows."""

    def of_rows(lists: ItemLists) -> ItemLists:
        nothing = np.full(n_items - n_queries, lists.starts[-1])
        starts = np.concatenate([lists.starts, nothing])
        return ItemLists(items=lists.items + n_queries, starts=starts)

    return Judgements(
        easy=of_rows(judgements.easy), hard=of_rows(judgements.hard), junk=of_rows(judgements.junk)
    )
