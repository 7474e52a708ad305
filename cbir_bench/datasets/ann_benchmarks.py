"""Data sets of ann-benchmarks: vectors to index and vectors to ask with, and no labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import numpy as np
from annotated_types import Ge

from cbir_bench.core.dataset import Dataset, LabelSets, Role, Split
from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import key_of
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.vectors import NoImages
from cbir_bench.files.ann_benchmarks import blocks, layout_of, opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Space
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.files.ann_benchmarks import Layout

_UNKNOWN_LABEL: Final = "unlabelled"
_TIE: Final = 1e-6
"""Of the spread of a query's similarities: what float32 sums may differ by."""


@DATASETS.register("ann_benchmarks")
@dataclass(frozen=True, kw_only=True)
class AnnBenchmarks:
    """A data set of ann-benchmarks: an HDF5 file of vectors without labels.

    For the model given_vectors with the same file, and the protocol query-set: ``train`` is the base,
    ``test`` are the queries. Nothing is relevant to anything, so that knn_recall and costs have values
    and metrics of labels have none.

    Attributes:
        path: the file, relative to a data folder, as "sift-128-euclidean.hdf5".
        n_checked: so many queries' neighbours, as the file lists them, are held against the vectors when
            the data set is opened; 0 for none.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("h5py",)

    path: str = ""
    n_checked: Annotated[int, Ge(0)] = 20

    def open(self, context: DataContext) -> Dataset:
        """Return the data set."""
        if not self.path:
            raise SettingError(
                'ann_benchmarks has no file. Set path = "sift-128-euclidean.hdf5", for example.'
            )
        path = context.find(self.path)
        layout = layout_of(path)
        n_items = layout.n_base + layout.n_queries
        sizes = [layout.n_base, layout.n_queries]
        nothing = ItemLists(items=np.empty(0, np.int64), starts=np.zeros(n_items + 1, np.int64))
        return Dataset(
            name=path.stem,
            ids=layout.ids(),
            labels=_one_label(n_items),
            splits=np.full(n_items, Split.TEST, np.int8),
            roles=np.repeat([Role.BASE, Role.QUERY], sizes).astype(np.int8),
            images=NoImages(path.stem),
            content_hash=key_of(["ann_benchmarks", *sizes, layout.dim, layout.distance]),
            notes=self._notes(path, layout),
            judgements=Judgements(easy=nothing, hard=nothing, junk=nothing),
            space=layout.space,
        )

    def _notes(self, path: Path, layout: Layout) -> tuple[str, ...]:
        if layout.space is None:
            return (
                "the file does not say by which distance it compares, so nothing can be checked.",
            )
        if not self.n_checked or not layout.n_neighbours:
            return ()
        rows = np.unique(
            np.linspace(0, layout.n_queries - 1, min(self.n_checked, layout.n_queries))
        )
        return disagreements(path, layout, layout.space, rows.astype(np.int64))


def disagreements(
    path: Path, layout: Layout, space: Space, queries: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return sentences on what a file's own neighbours get wrong, beyond ties; none if nothing.

    Args:
        path: of the file.
        layout: of the file, with neighbours.
        space: the similarity that they are meant by.
        queries: ``(n,)`` rows that are checked, ascending.
    """
    with opened(path) as file:
        asked = np.asarray(file["test"][queries], np.float64)
        ids = np.asarray(file["neighbors"][queries], np.int64)
    k = min(layout.n_neighbours, layout.n_base)
    best, listed, spread = _similarities(path, space, asked, ids, k)
    wrong = listed < (best[:, -1] - _TIE * spread)[:, None]
    wrong |= (ids < 0) | (ids >= layout.n_base)
    if not wrong.any():
        return ()
    note = (
        f"{int(wrong.sum())} of the {wrong.size} neighbours that the file lists of {len(ids)} queries are "
        f"none of the {k} nearest by the vectors themselves, ties aside; knn_recall goes by the vectors."
    )
    return (note,)


def _similarities(
    path: Path,
    space: Space,
    queries: NDArray[np.float64],
    ids: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the k best similarities of each query, falling, those of the listed items, and their spread."""
    best = np.empty((len(queries), 0))
    listed = np.full(ids.shape, -np.inf)
    spread = np.zeros(len(queries))
    for start, block in blocks(path, "train"):
        found = _similarity(queries, np.asarray(block, np.float64), space)
        inside = (ids >= start) & (ids < start + len(block))
        rows, places = np.nonzero(inside)
        listed[rows, places] = found[rows, ids[rows, places] - start]
        spread = np.maximum(spread, found.std(axis=1))
        best = -np.sort(-np.concatenate([best, found], axis=1), axis=1)[:, :k]
    return best, listed, spread


def _similarity(
    queries: NDArray[np.float64], base: NDArray[np.float64], space: Space
) -> NDArray[np.float64]:
    """Return ``(n_queries, n_base)`` similarities in float64, higher for nearer ones."""
    products: NDArray[np.float64] = queries @ base.T
    if space == "ip":
        return products
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", base, base)
    if space == "cosine":
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries)[:, None] * squares)
        products /= np.maximum(lengths, np.finfo(np.float64).tiny)
        return products
    products *= 2
    products -= squares
    return products


def _one_label(n_items: int) -> LabelSets:
    """Return the same label for every item; relevance never looks at it, since items are judged."""
    return LabelSets(
        names=(_UNKNOWN_LABEL,),
        codes=np.zeros(n_items, np.int64),
        starts=np.arange(n_items + 1, dtype=np.int64),
    )
