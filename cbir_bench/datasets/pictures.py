"""Encoded pictures of any common kind as RGB pixels."""

from __future__ import annotations

import io
import re
import struct
import warnings
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
MAX_PIXELS: Final = 178_956_970
"""Larger pictures may be attacks on memory: a few kilobytes can ask for gigabytes."""
_FORMATS: Final = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "AVIF",
    "TIFF",
    "JPEG2000",
    "BMP",
    "DIB",
    "PPM",
    "ICO",
    "TGA",
)
"""As Pillow calls them; the last knows no mark that files begin with, and is tried when nothing else fits."""
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""By EXIF's number for how a picture lies: what Pillow has to do to it."""
_PILLOW: Final = re.compile(r"PIL\.")
_NO_WARNING: Final = ("ignore", None, Warning, _PILLOW, 0)


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
    keep the upper 8; of an animation the first frame counts. Metadata that cannot be read is none.

    Raises:
        UnreadableError: if it is no picture of the kinds that ``SUFFIXES`` names, is cut short, or has more
            than ``MAX_PIXELS``; then it is not decoded.
    """
    _ignore_warnings()
    try:
        with _opened(data) as picture:
            _refuse_size(*picture.size)
            picture.load()
            return _rgb(_upright(picture))
    except UnreadableError:
        raise
    except Exception as error:  # broken bytes make decoders raise nearly anything
        raise UnreadableError(_reason(error)) from error


def _ignore_warnings() -> None:
    """Keep Pillow from warning: what it thinks of metadata, and of sizes that are no more than large.

    A filter for the time of one call would be no use, as threads share filters; so it stays, in front of
    what there is now.
    """
    if _NO_WARNING not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _opened(data: bytes) -> Any:
    """Return a picture whose header is read, as Pillow's own ``open`` does, but for two things.

    That looks for a limit on pixels which any library may have changed, and tries formats whose decoders
    run other programs (Encapsulated PostScript).

    Raises:
        UnreadableError: if no decoder knows the bytes.
    """
    from PIL import Image as PILImage

    PILImage.init()
    wrong = "it is no picture" if data else "it is an empty file"
    for name in _FORMATS:
        if name not in PILImage.OPEN:  # Pillow was built without it
            continue
        make, knows = PILImage.OPEN[name]
        known: bool | str = False
        try:
            known = knows(data[:16]) if knows else True
            if isinstance(known, str):  # the same
                wrong = known
            elif known:
                return make(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            wrong = f"it is a damaged or empty {name} picture" if known and knows else wrong
    raise UnreadableError(wrong)


def _refuse_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableError(
            f"its {width} x {height} are too many pixels to be safe, make it smaller"
        )


def _upright(picture: Any) -> Any:
    """Return a decoded picture as the camera was held."""
    from PIL import Image as PILImage

    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION))
    except Exception:  # noqa: BLE001  broken metadata raises nearly anything, and says nothing of the pixels
        return picture
    return picture if turn is None else picture.transpose(PILImage.Transpose[turn])


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
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 80 else f"{said[:77]}..."
