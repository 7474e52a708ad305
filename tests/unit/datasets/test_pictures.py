"""Decoding: every kind of picture becomes upright RGB bytes, and nothing else passes."""

import io
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from cbir_bench.core.errors import DataError
from cbir_bench.datasets.archive import Folder
from cbir_bench.datasets.pictures import PictureFiles, UnreadableError, decode, is_picture, suffix


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("RGB", "PNG"), ("CMYK", "JPEG"), ("P", "GIF")],
)
def test_every_mode_becomes_rgb_bytes(mode, kind):
    """Photo folders hold scans, icons and prints; a model sees three channels."""
    white = Image.new("RGB", (5, 4), "white").convert(mode)

    actual = decode(saved(white, kind))

    assert actual.dtype == np.uint8
    assert actual.shape == (4, 5, 3)
    assert actual.min() >= 254


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    """Cut-out product photos have arbitrary colours behind their alpha."""
    clear = Image.new("RGBA", (3, 2), (9, 9, 9, 0))
    image = clear.quantize() if mode == "P" else clear.convert(mode)

    assert image.mode == mode
    assert decode(saved(image)).min() == 255


def test_half_transparent_is_mixed_with_white():
    """Alpha is blended, not thresholded."""
    grey = Image.new("RGBA", (1, 1), (0, 0, 0, 128))

    assert abs(int(decode(saved(grey))[0, 0, 0]) - 127) <= 1


def test_sixteen_bits_keep_the_upper_eight():
    """A plain conversion would clip nearly everything to white."""
    deep = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))

    assert decode(saved(deep))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_fractions_go_from_zero_to_one():
    """Float TIFFs are fractions by convention; NaN is black."""
    fractions = Image.fromarray(np.array([[0, 0.5, 1, 7, np.nan]], np.float32))

    assert decode(saved(fractions, "TIFF"))[0, :, 1].tolist() == [0, 128, 255, 255, 0]


def test_the_cameras_orientation_is_applied():
    """Phones store photos lying down; a sideways query finds nothing."""
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0] = 200
    exif = Image.Exif()
    exif[0x0112] = 6

    actual = decode(saved(Image.fromarray(pixels), "PNG", exif=exif))

    assert actual.shape == (3, 2, 3)
    assert (actual[:, 1] == 200).all()


def test_a_picture_that_is_cut_short_is_refused(picture):
    """Pillow opens the header of half a file without complaint."""
    with pytest.raises(UnreadableError, match="truncated"):
        decode(picture[: len(picture) // 2])


def test_what_is_no_picture_is_refused():
    """HTML saved as .jpg is the commonest bad image."""
    with pytest.raises(UnreadableError, match="it is no picture"):
        decode(b"<html>not found</html>")


def test_bytes_of_any_kind_raise_nothing_else(picture):
    """A fuzzer's files must end as a sentence, never as a traceback."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(picture)
        for place in rng.integers(0, len(broken), 8):
            broken[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = decode(bytes(broken))
            except UnreadableError:
                continue
        assert image.shape[2] == 3


def test_a_picture_that_vanished_is_named(tmp_path):
    """Between opening and freezing a disk may be unmounted."""
    images = PictureFiles(((Folder(tmp_path), "gone.jpg"),))

    with pytest.raises(DataError, match=r"'gone\.jpg' in .* cannot be read any more"):
        images.read([0])


def test_threads_may_read_at_once(album):
    """The freezing stage decodes batches in threads, from one archive."""
    album.write(*(f"a/{i}.jpg" for i in range(30)))
    album.pack("photos", "photos.zip")
    from cbir_bench.datasets.image_folder import ImageFolder

    images = ImageFolder(root="photos.zip").open(album.context).images
    expected = images.read(range(30))
    wrong = []

    def read():
        found = images.read(range(30))
        wrong.extend(i for i in range(30) if not np.array_equal(found[i], expected[i]))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.JPG", ".jpg"), ("x.tar.gz", ".gz"), ("a.b/README", ""), (".jpg", ""), ("a/.png", "")],
)
def test_suffixes(name, expected):
    """A hidden file is no picture, and letters' case means nothing."""
    assert suffix(name) == expected
    assert is_picture(name) == (expected == ".jpg")
