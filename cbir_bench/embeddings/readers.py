"""Readers: they decode and prepare images, several at once, while the model computes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from cbir_bench.core.ahead import ahead
from cbir_bench.core.errors import CbirBenchError, DataError, SettingError, did_you_mean
from cbir_bench.core.lazy_images import LazyImages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import Dataset, ImageSource
    from cbir_bench.core.training_data import TrainingData

Kind: TypeAlias = Literal["threads", "processes"]
_KINDS: Final = get_args(Kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readers:
    """How many readers there are, and of what kind.

    Vectors do not depend on either.

    Attributes:
        n: how many read at once, at least 1; None for one per core that this process may use.
        kind: "threads" share this process, which is best where decoding lets go of Python's lock, as
            Pillow does; "processes" take a second to start, and are best where it does not: images that
            are drawn by NumPy, or data sets of other packages in plain Python.

    Raises:
        SettingError: if there is to be none, or one of another kind.
    """

    n: int | None = None
    kind: Kind = "threads"

    def __post_init__(self) -> None:
        if self.n is not None and self.n < 1:
            raise SettingError(f"{self.n} readers cannot read anything. Give 1 or more.")
        if self.kind not in _KINDS:
            raise SettingError(
                f"No readers are called {self.kind!r}.{did_you_mean(self.kind, _KINDS)} "
                f"Known: {', '.join(_KINDS)}."
            )

    def prepared(
        self,
        items: Dataset | TrainingData,
        prepare: Callable[[Sequence[Image]], Any],
        batches: Sequence[NDArray[np.int64]],
    ) -> Generator[Any]:
        """Yield what ``prepare`` makes of the images of each batch, in order.

        A few batches for each reader are read ahead, and each reader holds few images as they were decoded:
        memory stays bounded whatever the number of images and their size. Close the iterator to end
        the readers.

        Args:
            items: whose images.
            prepare: a model's, see ``core.model.Embedder``; it is given a sequence whose images are
                decoded when they are looked at.
            batches: the rows of each.

        Raises:
            DataError: if an image cannot be read or prepared, or a reader is killed; the message names
                the image.
        """
        n = min(self.n or len(os.sched_getaffinity(0)), max(1, len(batches)))
        if self.kind == "processes":
            from cbir_bench.embeddings.processes import ReaderProcesses

            processes = ReaderProcesses(n, items, prepare)
            yield from ahead(processes.prepared, batches, n_threads=n, stop=processes.stop)
        else:
            yield from ahead(
                lambda rows: _in_this_process(items, prepare, rows), batches, n_threads=n
            )


class ReadingError(Exception):
    """A reader failed at an image in a way that nobody foresaw.

    Args:
        row: of the image.
        why: what happened.
    """

    def __init__(self, row: int, why: str) -> None:
        super().__init__(row, why)
        self.row, self.why = row, why

    def named(self, items: Dataset | TrainingData) -> DataError:
        """Return it as a sentence that names the image."""
        return DataError(
            f"The image {items.ids[self.row]!r} of {items.name!r} cannot be read and prepared: {self.why}. "
            "Replace the image or leave it out."
        )


def _nobody_asks(row: int) -> None:
    """Tell nobody which image is being read."""


def prepare_rows(
    source: ImageSource,
    prepare: Callable[[Sequence[Image]], Any],
    rows: NDArray[np.int64],
    looking: Callable[[int], None] = _nobody_asks,
) -> Any:
    """Return what ``prepare`` makes of the images of some rows.

    Args:
        source: where images are read.
        prepare: a model's.
        rows: of a batch.
        looking: told the row of each image before it is read.

    Raises:
        CbirBenchError: what the source or the model says.
        ReadingError: for any other error, but want of memory or of a package.
    """
    images = LazyImages(source, rows.tolist(), looking)
    try:
        return prepare(images)
    except (CbirBenchError, ImportError, MemoryError):
        raise
    except Exception as error:  # a source or a model of another package may fail in any way
        said = " ".join(str(error).split())
        what = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise ReadingError(images.row, what) from error


def _in_this_process(
    items: Dataset | TrainingData,
    prepare: Callable[[Sequence[Image]], Any],
    rows: NDArray[np.int64],
) -> Any:
    try:
        return prepare_rows(items.images, prepare, rows)
    except ReadingError as error:
        raise error.named(items) from error
