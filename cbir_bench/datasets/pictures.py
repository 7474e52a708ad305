"""Encoded pictures of any common kind as RGB pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir_bench.core.arrays import Image
    from cbir_bench.datasets.archive import Source

SUFFIXES: Final = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
    }
    | {".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
"""What a picture's name ends with; other files are ignored."""


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Decodes pictures from folders or archives when asked for.

    Attributes:
        files: where each row's picture is, and its name there.
    """

    files: tuple[tuple[Source, str], ...]

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return the images of some rows: ``(height, width, 3)`` uint8 RGB each.

        Raises:
            DataError: if a file cannot be read or decoded any more.
        """
        return [self._one(*self.files[row]) for row in rows]

    def _one(self, tree: Source, name: str) -> Image:
        try:
            return decode(read_bytes(tree, name))
        except UnreadableError as error:
            raise DataError(
                f"The image {name!r} in {str(tree.path)!r} cannot be read any more: {error}. "
                "It was readable when the data set was opened; restore it and run again."
            ) from error


class UnreadableError(DataError):
    """Why a file cannot be read, unpacked or decoded, in a few words; not which file it is."""


def is_picture(name: str) -> bool:
    """Return whether a file's name ends as pictures' names do."""
    return suffix(name) in SUFFIXES


def suffix(name: str) -> str:
    """Return the last part of a file's name in lower case, with its dot; empty if there is none."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def read_bytes(tree: Source, name: str) -> bytes:
    """Return a file's bytes.

    Raises:
        UnreadableError: if it cannot be read or unpacked.
    """
    try:
        return tree.read(name)
    except Exception as error:  # an archive's file fails in as many ways as there are packings
        raise UnreadableError(_reason(error)) from error


def decode(data: bytes) -> Image:
    """Return the ``(height, width, 3)`` uint8 RGB pixels of an encoded picture, upright.

    The camera's orientation (EXIF) is applied; what is transparent is shown on white; 16 bits per channel
    keep the upper 8; of an animation the first frame counts.

    Raises:
        UnreadableError: if it is no picture, is cut short, or has so many pixels that it may be an attack
            on memory (Pillow's limit of 179 million).
    """
    from PIL import Image as PILImage
    from PIL import ImageOps

    try:
        with PILImage.open(io.BytesIO(data)) as opened:
            return _rgb(ImageOps.exif_transpose(opened))
    except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning) as error:
        raise UnreadableError("it has too many pixels to be safe, make it smaller") from error
    except Exception as error:  # broken bytes make decoders raise nearly anything
        raise UnreadableError(_reason(error)) from error


def _rgb(picture: Any) -> Image:
    from PIL import Image as PILImage

    if picture.mode.startswith("I") or picture.mode == "F":
        grey = _eight_bits(np.asarray(picture))
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = PILImage.new("RGBA", layer.size, "white")
        picture = PILImage.alpha_composite(white, layer)
    return np.array(picture.convert("RGB"), np.uint8)


def _eight_bits(grey: Any) -> Any:
    """Return deep grey levels in [0, 255]: integers have 16 bits, fractions go from 0 to 1."""
    if grey.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(grey), 0, 1) * 255).astype(np.uint8)
    return (np.clip(grey, 0, 65535).astype(np.int64) >> 8).astype(np.uint8)


def _reason(error: Exception) -> str:
    """Return what a decoder says, short enough for a list."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is no picture"
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 80 else f"{said[:77]}..."
