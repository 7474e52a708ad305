"""Handwritten characters of fifty alphabets. Lake, Salakhutdinov and Tenenbaum, Science, 2015."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from annotated_types import Ge

from cbir_bench.core.dataset import COARSE, Split
from cbir_bench.core.errors import DataError
from cbir_bench.core.hashing import hash_file
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.archive import open_tree
from cbir_bench.datasets.download import download
from cbir_bench.datasets.manifests import find_manifest
from cbir_bench.datasets.picture_set import Item, picture_dataset
from cbir_bench.datasets.pictures import is_picture
from cbir_bench.datasets.splits import Part, folder_above

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cbir_bench.core.dataset import DataContext, Dataset
    from cbir_bench.datasets.manifests import Manifest, ManifestFile

_SPLITS: Final = {
    "images_background.zip": Split.TRAIN,
    "images_evaluation.zip": Split.TEST,
}


@DATASETS.register("omniglot")
@dataclass(frozen=True, kw_only=True)
class Omniglot:
    """1,623 handwritten characters of 50 alphabets, 20 drawings each, 105 x 105 pixels, black on white.

    The 964 characters of the "background" set are for training, the 659 of the "evaluation" set, from
    other alphabets, for the test. A class is an alphabet with a character ("Greek/character07"), a coarse
    class the alphabet.

    Attributes:
        root: folder of the two official archives, relative to a data folder; they may also lie in a data
            folder itself.
        fetch: download archives that are not there (15 MB) into the cache.
        every: use every n-th drawing only, in the order of their sorted paths, 1 or more.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    root: str = "omniglot"
    fetch: bool = True
    every: Annotated[int, Ge(1)] = 1

    def open(self, context: DataContext) -> Dataset:
        """Return the data set; every drawing that is new is decoded once."""
        manifest = find_manifest("omniglot")
        items: list[Item] = []
        notes = [manifest.note]
        for file in manifest.files:
            path = self._find(file, manifest, context)
            found = _items(path, _SPLITS[file.name])
            notes += _strange(path, file, len(found))
            items += found
        data = picture_dataset(
            "omniglot", items[:: self.every], on_bad_image=None, cache=context.cache, notes=notes
        )
        return replace(data, more_labels={COARSE: data.labels.renamed(folder_above)})

    def _find(self, file: ManifestFile, manifest: Manifest, context: DataContext) -> Path:
        for path in (f"{self.root}/{file.name}", file.name):
            try:
                return context.find(path)
            except DataError as error:
                missing = error
        if not self.fetch:
            raise DataError(f"{missing} Or set fetch = true to download it.")
        return download(file, context.cache / manifest.name)


def _items(path: Path, split: Split) -> Sequence[Item]:
    """Return the drawings in an archive: ``images_.../alphabet/character/drawing.png``."""
    tree = open_tree(path)
    files = [name for name in tree.names() if is_picture(name) and name.count("/") == 3]
    if not files:
        raise DataError(
            f"{str(path)!r} holds no folder/alphabet/character/drawing.png. Give Omniglot's own archive."
        )
    return [
        Item(file, tree, file, ("/".join(file.split("/")[1:3]),), Part(split)) for file in files
    ]


def _strange(path: Path, file: ManifestFile, n_images: int) -> list[str]:
    """Return a note if the archive is not the official one, byte for byte."""
    sha256 = hash_file(path)
    if sha256 == file.sha256:
        return []
    note = (
        f"{file.name} is not the official file (SHA-256 {sha256}); it holds {n_images:,} of its "
        f"{file.n_images:,} drawings"
    )
    return [note]
