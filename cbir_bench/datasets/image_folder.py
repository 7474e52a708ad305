"""Anyone's own photos: a folder or zip archive with a folder for each class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Lt

from cbir_bench.core.dataset import COARSE, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.archive import open_tree
from cbir_bench.datasets.manifests import recognise
from cbir_bench.datasets.picture_set import Item, OnBadImage, picture_dataset
from cbir_bench.datasets.pictures import is_picture, suffix
from cbir_bench.datasets.splits import Part, choose, folder_above, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir_bench.core.dataset import DataContext, Dataset


class Place(NamedTuple):
    """Where a picture lies: its file, the part that a split folder names, and its class."""

    file: str
    part: Part | None
    label: str


@DATASETS.register("image_folder")
@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Your own photos: ``root/class/photo.jpg`` or ``root/split/class/photo.jpg``.

    The class is the path of the photo's folder below the root or the split folder, so that folders may be
    nested ("shoes/boots"); then the folder above ("shoes") is its coarse class. Folders that hold nothing
    but one other folder are walked through. Split folders are called train, val, test, query or gallery
    (training, valid, validation, testing, queries, base, database, index), in any case of letters; query
    and gallery are the two sides of the test split.
    Without split folders every photo is in the test split, unless ``train_fraction`` says otherwise.

    Attributes:
        root: a folder or .zip archive, relative to a data folder.
        splits: "auto" uses split folders where there are any, "merge" walks through them and puts their
            photos together, "none" takes every folder for a class.
        every: use every n-th photo only, in the order of their sorted paths, 1 or more.
        train_fraction: share of the classes to train with, where no split folder decides; the other
            classes are the test split. Below 1.
        seed: decides which classes those are.
        on_bad_image: "stop" at photos that cannot be read, or "skip" them with a note.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    root: str = ""
    splits: Literal["auto", "merge", "none"] = "auto"
    every: Annotated[int, Ge(1)] = 1
    train_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    seed: Annotated[int, Ge(0)] = 0
    on_bad_image: OnBadImage = "stop"

    def open(self, context: DataContext) -> Dataset:
        """Return the data set; every photo that is new or has changed is decoded once."""
        if not self.root:
            raise SettingError('image_folder has no root. Set root = "FOLDER" or "ARCHIVE.zip".')
        path = context.find(self.root)
        tree = open_tree(path)
        names = tree.names()
        places = self._places([name for name in names if is_picture(name)], str(path))
        parts = self._parts(places)
        manifest = recognise(path)
        data = picture_dataset(
            tree.title,
            [
                Item(place.file, tree, place.file, (place.label,), part)
                for place, part in zip(places, parts, strict=True)
            ],
            on_bad_image=self.on_bad_image,
            cache=context.cache,
            notes=[*([manifest.note] if manifest else []), *_ignored(names)],
        )
        if not any("/" in label for label in data.labels.names):
            return data
        return replace(data, more_labels={COARSE: data.labels.renamed(folder_above)})

    def _places(self, files: Sequence[str], root: str) -> list[Place]:
        """Return where each of the sampled files lies.

        Raises:
            DataError: if there is none, some lie in no class folder, or split folders are mixed with others.
        """
        if not files:
            raise DataError(
                f"There is no image in {root!r}. Give a folder that has a folder of images for each class."
            )
        depth = _shared_folders(files)
        tops = sorted({top for file in files if (top := _folders(file, depth)[:1])})
        named = [top for (top,) in tops if part_of(top)]
        if self.splits == "auto" and named and len(named) < len(tops):
            others = [top for (top,) in tops if not part_of(top)]
            raise DataError(
                f"{root!r} has folders called like splits ({', '.join(named)}) beside others "
                f'({", ".join(others[:5])}). Set splits = "none" if all are classes, or move the others away.'
            )
        places = [self._place(file, _folders(file, depth)) for file in files]
        homeless = [place.file for place in places if not place.label]
        if homeless:
            raise DataError(
                f"{len(homeless)} of {len(files)} images in {root!r} lie in no class folder, the first is "
                f"{homeless[0]!r}. Put each into a folder named for its class."
            )
        return places[:: self.every]

    def _place(self, file: str, folders: tuple[str, ...]) -> Place:
        part = part_of(folders[0]) if folders and self.splits != "none" else None
        label = "/".join(folders[1:] if part else folders)
        return Place(file, part if self.splits == "auto" else None, label)

    def _parts(self, places: Sequence[Place]) -> list[Part]:
        if any(place.part for place in places):
            if self.train_fraction:
                raise SettingError(
                    f"train_fraction = {self.train_fraction} would divide the classes, but the split folders "
                    f'of {self.root!r} do. Set splits = "merge" to put them together first, or leave it out.'
                )
            return [place.part or Part(Split.TEST) for place in places]
        train = choose((place.label for place in places), self.train_fraction, self.seed)
        return [Part(Split.TRAIN if place.label in train else Split.TEST) for place in places]


def _folders(file: str, depth: int) -> tuple[str, ...]:
    """Return the names of the folders around a file, without the first ``depth``."""
    return tuple(file.split("/")[depth:-1])


def _shared_folders(files: Sequence[str]) -> int:
    """Return how many folders from the top hold all files and are neither a split nor the only class.

    Files beside the next folder do not stop the walk: they are found later to be in no class.
    """
    depth = 0
    while True:
        tops = {_folders(file, depth)[:1] for file in files}
        lonely = len(tops) == 1 and any(len(_folders(file, depth)) > 1 for file in files)
        if not lonely or part_of(next(iter(tops))[0]):
            return depth
        depth += 1


def _ignored(names: Sequence[str]) -> list[str]:
    """Return a note on files that are no pictures by their names, so that a missing .heic is noticed."""
    kinds = Counter(suffix(name) or "no suffix" for name in names if not is_picture(name))
    if not kinds:
        return []
    counts = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())
    return [f"{sum(kinds.values())} files that are no images were ignored ({counts})"]
