"""Near-duplicates among a data set's own pictures: looks from one stage, groups from another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cbir_bench.core.dataset import UNKNOWN, Split
from cbir_bench.datasets.looks import Looks, looks_of
from cbir_bench.protocols.near_duplicates import groups_of_pairs, similar_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.dataset import Dataset


def with_groups(dataset: Dataset, cache: Path) -> Dataset:
    """Return the data set with the groups of near-duplicates in its test split; its own if it has them.

    Every picture of the test split is looked at once and remembered in ``cache``.

    Raises:
        DataError: if a picture cannot be read.
    """
    if dataset.groups is not None:
        return dataset
    rows = dataset.rows(Split.TEST)
    groups = np.full(len(dataset), UNKNOWN, np.int64)
    groups[rows] = picture_groups(looks_of(dataset, rows, cache))
    return replace(dataset, groups=groups)


def picture_groups(looks: Looks) -> NDArray[np.int64]:
    """Return the group of each picture: those that pairs of near-duplicates connect, or -1.

    Two are near-duplicates if their hashes differ in few bits and their thumbnails hardly at all.
    """
    pairs = []
    for left, right in similar_pairs(looks.signs(), looks.least_product()):
        same = looks.same(left, right)
        pairs.append((left[same], right[same]))
    left, right = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    return groups_of_pairs(left, right, len(looks.hashes))
