"""Vectors that somebody made elsewhere, found by the ids of images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn

import numpy as np

from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.hashing import hash_file
from cbir_bench.core.registry import MODELS
from cbir_bench.files.columns import ID, Columns
from cbir_bench.files.reading import beside, read_ids, without_key
from cbir_bench.files.vector_table import open_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.core.dataset import DataContext
    from cbir_bench.core.model import Embedder, Learned
    from cbir_bench.files.vector_table import VectorTable

_SHOWN: Final = 3
_ROWS_AT_ONCE: Final = 1 << 14


@MODELS.register("given_vectors")
@dataclass(frozen=True, kw_only=True)
class VectorsFromFile:
    """Your own embeddings, from a file; no image is read.

    Numbers of any type become float32. Vectors of other items than those of the data set are left alone,
    so that one file may hold those of all splits.

    Attributes:
        file: the vectors, relative to a data folder: .npy, .npz, .safetensors, .parquet, .csv or .tsv, or
            .hdf5 of ann-benchmarks; "FILE.npz:KEY" is one array of several. Ids are in it: a column or array
            called id or ids, or "ids" in the metadata of a safetensors file, a JSON list; those of FILE.npy
            may be in FILE.npy.csv; those of FILE.hdf5 are the data set's own.
        ids: a file of the ids, in the order of the vectors, if they are elsewhere: a line each in a .txt
            file, or the column id or the only column of a table or an array of text.
        id_column: column of the ids, in the file of ids or else in that of vectors, if it is not called id.
        match: "id" finds the vector of an item by the item's id; "row" takes the vectors in the order of
            the data set's test items, of which there have to be exactly as many: nothing else would tell
            if the order were another.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()
    TRAINABLE: ClassVar[bool] = False

    file: str = ""
    ids: str = ""
    id_column: str = ""
    match: Literal["id", "row"] = "id"

    def __post_init__(self) -> None:
        if self.match == "row" and (self.ids or self.id_column):
            raise SettingError(
                'given_vectors has ids, but match = "row" would not look at them. Leave one of them out.'
            )

    def weights_hash(self, context: DataContext) -> str:
        """Return the SHA-256 of the file, or of the hashes of all files that take part."""
        path = context.find(without_key(self._named_file())[0])
        table = beside(path) if path.suffix.lower() == ".npy" else None
        ids = context.find(without_key(self.ids)[0]) if self.ids else None
        files = [file for file in (path, table, ids) if file is not None]
        hashes = [_hashed(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return (
            hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()
        )

    def embedder(self, context: DataContext, learned: Learned) -> Embedder:  # noqa: ARG002
        """Refuse: only the vectors in the file are there."""
        raise SettingError(
            "given_vectors embeds no images: it has the vectors in its file and no others. "
            "Choose a model that reads images."
        )

    def network(self, context: DataContext) -> Any:  # noqa: ARG002
        """Refuse: there is nothing to train."""
        raise SettingError(
            "Given vectors have nothing to train. Drop their [model.training] table."
        )

    def vectors(self, context: DataContext, ids: Sequence[str], *, test: bool = True) -> Matrix:
        """Return the ``(n, dim)`` float32 vectors of items, mapped from disk where they lie ready there.

        Args:
            context: finds the files.
            ids: of the items.
            test: whether they are the data set's test items; rows are matched to no others, since as many
                training items would be given the vectors of the test.

        Raises:
            DataError: if the file cannot be read, an item has no vector, an id is there twice, a vector
                holds zeros alone, NaN or infinity (the message names some of the items), or vectors that
                are matched by row are asked for other items than those of the test.
        """
        if self.match == "row" and not test:
            raise DataError(
                f'{self.file} has the vectors of the test items alone: match = "row" says so. Something is '
                "to be learnt from training items; give a file that has their vectors, too, and ids with "
                'match = "id".'
            )
        table = open_vectors(
            _found(context, self._named_file()), (self.id_column,) if self.id_column else ()
        )
        if self.match == "row":
            rows = self._all_rows(table, len(ids))
        else:
            rows = self._rows(table, self._ids_of(context, table), ids)
        vectors = table.take(rows)
        _refuse_unusable(vectors, ids, self.file)
        return vectors

    def _named_file(self) -> str:
        if not self.file:
            raise SettingError('given_vectors has no file. Set file = "VECTORS.npz", for example.')
        return self.file

    def _all_rows(self, table: VectorTable, n_items: int) -> NDArray[np.int64]:
        if len(table) != n_items:
            raise DataError(
                f'{self.file} has {len(table)} vectors for {n_items} items, but match = "row" needs one for '
                'each, in their order. Give ids and match = "id".'
            )
        return np.arange(n_items)

    def _ids_of(self, context: DataContext, table: VectorTable) -> Sequence[str]:
        """Return the id of each vector."""
        if self.ids:
            found: Sequence[str] | None = read_ids(_found(context, self.ids), self.id_column)
        elif self.id_column:
            column = table.columns.get(self.id_column)
            found = Columns(file=self.file, columns={ID: column}).ids()
        else:
            found = table.columns.ids()
        if found is None:
            self._refuse_without_ids()
        if len(found) != len(table):
            raise DataError(
                f"{self.ids or self.file} has {len(found)} ids for {len(table)} vectors. Give one for each."
            )
        return found

    def _refuse_without_ids(self) -> NoReturn:
        raise DataError(
            f"{self.file} has no ids, so nobody knows whose vectors these are. Give ids = FILE with the id "
            'of each vector, or match = "row" if they are in the order of the data set\'s test items.'
        )

    def _rows(
        self, table: VectorTable, known: Sequence[str], wanted: Sequence[str]
    ) -> NDArray[np.int64]:
        """Return the row of each item."""
        place = {name: row for row, name in enumerate(known)}
        missing = [name for name in wanted if name not in place]
        if missing:
            raise DataError(
                f"{self.file} has no vector for {len(missing)} of {len(wanted)} items: {_some(missing)}. Its "
                f"{len(table)} vectors belong to {_some(known)}. Give a vector for each item, and call items "
                "as the data set does."
            )
        return np.array([place[name] for name in wanted], np.int64)


def _found(context: DataContext, text: str) -> str:
    """Return the path of a file, with its key."""
    name, key = without_key(text)
    path = context.find(name)
    return f"{path}:{key}" if key else str(path)


@lru_cache(maxsize=64)
def _hashed(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  the cache's key
    return hash_file(path)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _refuse_unusable(vectors: Matrix, ids: Sequence[str], file: str) -> None:
    """Refuse vectors that cannot be compared."""
    squares = np.concatenate(
        [
            np.einsum("ij,ij->i", part, part, dtype=np.float64)
            for part in (
                vectors[start : start + _ROWS_AT_ONCE]
                for start in range(0, len(vectors), _ROWS_AT_ONCE)
            )
        ]
    )
    for wrong, what in (
        (~np.isfinite(squares), "NaN, infinity or numbers too large for float32"),
        (squares == 0, "only zeros"),
    ):
        bad = [ids[row] for row in np.flatnonzero(wrong).tolist()]
        if bad:
            raise DataError(
                f"{file} holds {what} for {len(bad)} of {len(ids)} items: {_some(bad)}. Look at what made "
                "them, or leave these items out."
            )
