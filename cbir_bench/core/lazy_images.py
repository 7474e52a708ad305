"""A batch of images that are decoded when looked at, so that large photos are not in memory together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import ImageSource

_KEPT_BYTES: Final = 1 << 26
"""Of decoded images that a batch keeps for a second look."""


def _nobody_asks(row: int) -> None:
    """Tell nobody which image is being read."""


class LazyImages(Sequence["Image"]):
    """The images of some rows, each read when it is first looked at.

    Those that have been read are kept for a second look as long as they are small; so a batch of large
    photos is never in memory together, unless somebody keeps it.

    Args:
        source: where images are read.
        rows: of the images, in their order.
        looking: told the row of each image before it is read.
    """

    def __init__(
        self,
        source: ImageSource,
        rows: Sequence[int],
        looking: Callable[[int], None] = _nobody_asks,
    ) -> None:
        self._source, self._rows, self._looking = source, rows, looking
        self._kept: dict[int, Image] = {}
        self._room = _KEPT_BYTES
        self.row = rows[0] if rows else -1
        """The row that was read last."""

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Image: ...
    @overload
    def __getitem__(self, place: slice) -> list[Image]: ...
    def __getitem__(self, place: int | slice) -> Image | list[Image]:
        if isinstance(place, slice):
            return [self._read(row) for row in self._rows[place]]
        return self._read(self._rows[place])

    def __iter__(self) -> Iterator[Image]:
        return map(self._read, self._rows)

    def _read(self, row: int) -> Image:
        if row in self._kept:
            return self._kept[row]
        self.row = row
        self._looking(row)
        image = self._source.read([row])[0]
        if image.nbytes <= self._room:
            self._kept[row] = image
            self._room -= image.nbytes
        return image
