"""From a list of picture files to a data set: sample, check, hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from cbir_bench.core.dataset import COARSE, UNKNOWN, Dataset, LabelSets
from cbir_bench.core.errors import DataError
from cbir_bench.datasets.checking import check_pictures, problem_list
from cbir_bench.datasets.pictures import PictureFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.datasets.archive import Source
    from cbir_bench.datasets.splits import Part

OnBadImage: TypeAlias = Literal["stop", "skip"]


class Item(NamedTuple):
    """A picture with all that is known of it.

    Attributes:
        id: its unique name.
        tree: the folder or archive that holds it.
        file: its name there.
        labels: one or several.
        part: its split and role.
        coarse: its class of a coarser kind; empty where there is none.
        camera: what took it; empty where nobody knows.
        group: near-duplicates have the same; empty where it is alone.
    """

    id: str
    tree: Source
    file: str
    labels: tuple[str, ...]
    part: Part
    coarse: str = ""
    camera: str = ""
    group: str = ""


def picture_dataset(
    name: str,
    items: Sequence[Item],
    *,
    on_bad_image: OnBadImage | None,
    cache: Path,
    notes: Iterable[str] = (),
) -> Dataset:
    """Return the data set of some pictures after a look at each of them.

    Args:
        name: what reports call it.
        items: in their order.
        on_bad_image: "stop" at pictures that cannot be read, or "skip" them with a note; None where the
            data set needs them all and its reader has no such option.
        cache: where readable pictures are remembered.
        notes: what else a reader of the results should know.

    Raises:
        DataError: if pictures cannot be read and are not to be skipped, or none is left.
    """
    sha256, problems = _check(items, cache)
    if problems and on_bad_image != "skip":
        hint = ', or set on_bad_image = "skip" to leave them out' if on_bad_image else ""
        raise DataError(
            f"{len(problems)} of {len(items)} images of {name!r} cannot be read: "
            f"{problem_list(problems)}. Replace them{hint}."
        )
    kept = [item for item in items if item.id not in problems]
    if not kept:
        raise DataError(
            f"No image of {name!r} can be read: {problem_list(problems)}. Check the folder."
        )
    coarse = [item.coarse for item in kept]
    skipped = [f"{len(problems)} images left out: {problem_list(problems)}"] if problems else []
    return Dataset(
        name=name,
        ids=tuple(item.id for item in kept),
        labels=LabelSets.of(item.labels for item in kept),
        splits=np.array([item.part.split for item in kept], np.int8),
        roles=np.array([item.part.role for item in kept], np.int8),
        images=PictureFiles(tuple((item.tree, item.file) for item in kept)),
        content_hash=_hash(kept, sha256),
        notes=(*notes, *skipped),
        more_labels={COARSE: LabelSets.of(coarse)} if any(coarse) else {},
        cameras=_codes([item.camera for item in kept]),
        groups=_codes([item.group for item in kept]),
    )


def _check(items: Sequence[Item], cache: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the hash of each readable item and the problem of each other, by id."""
    sha256: dict[str, str] = {}
    problems: dict[str, str] = {}
    for tree in dict.fromkeys(item.tree for item in items):
        here = [item for item in items if item.tree == tree]
        checked = check_pictures(tree, [item.file for item in here], cache)
        sha256 |= {i.id: checked.sha256[i.file] for i in here if i.file in checked.sha256}
        problems |= {i.id: checked.problems[i.file] for i in here if i.file in checked.problems}
    return sha256, problems


def _codes(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Return a number for each name, ``UNKNOWN`` for an empty one; None if all are."""
    code = {name: i for i, name in enumerate(sorted({name for name in names if name}))}
    return np.array([code.get(name, UNKNOWN) for name in names], np.int64) if code else None


def _hash(items: Iterable[Item], sha256: dict[str, str]) -> str:
    """Return 16 hexadecimal digits that change with anything that is known of an item."""
    digest = hashlib.sha256()
    for item in items:
        more = (item.coarse, item.camera, item.group)
        # What an item has not is left out, so that data sets without it keep their hash.
        known = (
            item.id,
            sha256[item.id],
            item.labels,
            *map(int, item.part),
            *(more if any(more) else ()),
        )
        digest.update(repr(known).encode())
    return digest.hexdigest()[:16]
