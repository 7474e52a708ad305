"""Pictures as people really have them: every one decodes to what a viewer shows, or is refused in words."""

from __future__ import annotations

import io
import struct
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from unit.datasets.conftest import encoded

from cbir_bench.datasets import pictures
from cbir_bench.datasets.image_folder import ImageFolder
from cbir_bench.datasets.pictures import MAX_PIXELS, UnreadableError, decode

RED, BLUE = (255, 0, 0), (0, 0, 255)
LEFT_RED = np.array([[RED, RED, BLUE]] * 2, np.uint8)
"""Two rows and three columns; the last column is blue."""
MARKED = np.array([[RED, BLUE, BLUE], [(0, 255, 0), BLUE, BLUE]], np.uint8)
"""No two of its eight turns are alike."""
Image.init()
WEBP = pytest.param("WEBP", marks=pytest.mark.skipif("WEBP" not in Image.SAVE, reason="no WebP"))
AVIF = pytest.param("AVIF", marks=pytest.mark.skipif("AVIF" not in Image.SAVE, reason="no AVIF"))
LIKE_NEW = {
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 100, "subsampling": 0},
    "AVIF": {"quality": 100},
}
"""Options of formats that lose something."""


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name, content):
    """Return a part of a PNG file."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width, height, kind, rows=b"", extra=b""):
    """Return a PNG file of raw rows, each behind its filter byte; ``kind`` is bits and colour type."""
    header = struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bombs(side):
    """Return files of a few bytes that say that they are squares of that side."""
    bmp, tiff = (bytearray(saved(Image.new("L", (257, 258)), kind)) for kind in ("BMP", "TIFF"))
    bmp[18:26] = struct.pack("<ii", side, side)
    for tag, length in (
        (256, 257),
        (257, 258),
    ):  # entries of the directory: one number of 32 bits each
        place = tiff.index(struct.pack("<HHII", tag, 4, 1, length))
        tiff[place + 8 : place + 12] = struct.pack("<I", side)
    gif = b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;"
    return {
        "png": png(side, side, (8, 2), bytes(1000)),
        "gif": gif + frame,
        "bmp": bytes(bmp),
        "ppm": f"P6 {side} {side} 255\n".encode(),
        "tiff": bytes(tiff),
    }


def test_forty_eight_bits_keep_the_upper_eight():
    """Scanners write them."""
    values = np.array([[0x0102, 0x80FF, 0xFF00], [0x7FFF, 0, 0xFFFF]], ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values[:, None])

    actual = decode(png(1, 2, (16, 2), rows))

    assert actual[:, 0].tolist() == [[0x01, 0x80, 0xFF], [0x7F, 0, 0xFF]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_not_white(kind):
    """Medical and depth images; clipping would leave nothing."""
    deep = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))

    assert decode(saved(deep, kind))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_grey_with_alpha_is_shown_on_white():
    """Both are 16 bits deep."""
    rows = b"\0" + np.array([0x4000, 0xFFFF, 0x4000, 0], ">u2").tobytes()

    actual = decode(png(2, 1, (16, 4), rows))

    assert actual[0, :, 0].tolist() == [0x40, 255]


def test_thirty_two_bit_integers_are_taken_for_sixteen():
    """As the microscope's software writes them."""
    deep = Image.fromarray(np.array([[-5, 0, 32768, 70000]], np.int32))

    assert decode(saved(deep, "TIFF"))[0, :, 0].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize(("kind", "slack"), [("JPEG", 3), ("TIFF", 0)])
def test_inks_become_colours(kind, slack):
    """A JPEG of Adobe's holds the inks upside down, a TIFF does not."""
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))

    actual = decode(saved(inks, kind)).astype(int)

    assert np.abs(actual - RED).max() <= slack


def test_a_jpeg_of_inks_is_marked_as_adobes():
    """What the test above is about."""
    assert b"Adobe" in saved(Image.new("CMYK", (16, 16)), "JPEG")


def test_a_palette_is_looked_up():
    """Icons and old screenshots."""
    image = Image.fromarray(LEFT_RED).quantize(4)

    np.testing.assert_array_equal(decode(saved(image)), LEFT_RED)


@pytest.mark.parametrize("how", ["one", "each"])
def test_a_transparent_entry_of_a_palette_is_white(how):
    """One entry may be clear, or each have its own alpha."""
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    clear = 1 if how == "one" else b"\xff\x80"

    actual = decode(saved(image, transparency=clear))[0].astype(int)

    assert actual[0].tolist() == list(RED)
    assert np.abs(actual[1] - ((255,) * 3 if how == "one" else (127, 127, 255))).max() <= 1


def test_a_transparent_colour_is_white():
    """PNG's other way, without an alpha channel."""
    actual = decode(saved(Image.fromarray(LEFT_RED), transparency=BLUE))

    assert actual[0].tolist() == [list(RED), list(RED), [255, 255, 255]]


def test_one_bit_is_black_and_white():
    """Faxes, and the glyphs of Omniglot."""
    image = Image.fromarray(np.array([[True, False]]))

    for kind in ("PNG", "TIFF", "PPM", "BMP"):
        assert decode(saved(image, kind))[0, :, 0].tolist() == [255, 0]


def test_grey_with_alpha_is_shown_on_white():
    """Logos."""
    image = Image.merge("LA", [Image.new("L", (1, 1), 10), Image.new("L", (1, 1), 0)])

    assert decode(saved(image)).tolist() == [[[255] * 3]]


def test_the_colours_of_print_shops_are_converted():
    """L*a*b* from a TIFF: a middle grey."""
    actual = decode(saved(Image.new("LAB", (2, 2), (128, 128, 128)), "TIFF"))

    assert np.ptp(actual) <= 3
    assert 100 < actual.mean() < 140


@pytest.mark.parametrize("kind", ["GIF", "PNG", WEBP, "TIFF"])
def test_of_several_pictures_the_first_counts(kind):
    """GIF, animated PNG and WebP, and the pages of a TIFF."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE, "white")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **LIKE_NEW.get(kind, {}))

    assert Image.open(io.BytesIO(data)).n_frames == 3
    np.testing.assert_array_equal(decode(data), np.asarray(frames[0]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", WEBP, AVIF, "JPEG"])
def test_every_orientation_is_set_upright(kind, orientation):
    """By EXIF's own table: which corner of the stored picture is at the top left of the one that is seen."""
    seen = MARKED.repeat(16, 0).repeat(16, 1)
    lying = {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.transpose(1, 0, 2),
        6: seen.transpose(1, 0, 2)[::-1],
        7: seen.transpose(1, 0, 2)[::-1, ::-1],
        8: seen.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(lying))

    data = saved(stored, kind, exif=exif, **LIKE_NEW.get(kind, {}))
    actual = decode(data).astype(int)

    assert actual.shape == seen.shape
    assert np.abs(actual[8::16, 8::16] - MARKED).max() <= 12


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"MM\0*\0\0\0\x08\0\x01\x01\x12", b"rubbish" * 9]
)
def test_broken_metadata_cost_no_picture(content):
    """Phones, editors and messengers all write their own; the pixels are good."""
    data = saved(Image.fromarray(LEFT_RED), exif=b"Exif\0\0" + content)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actual = decode(data)

    np.testing.assert_array_equal(actual, LEFT_RED)


def test_pillow_warns_nobody(recwarn):
    """A line of a library in the midst of the progress helps nobody, and in a thread it hits anybody."""
    no_frames = chunk(b"acTL", struct.pack(">II", 0, 0))
    odd = png(1, 1, (8, 2), b"\0\1\2\3", no_frames)
    found = []

    threads = [threading.Thread(target=lambda: found.append(decode(odd))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.tolist() for one in found] == [[[[1, 2, 3]]]] * 3
    assert list(recwarn) == []


@pytest.mark.parametrize("limit", [None, 1, 10**9])
def test_the_limit_of_pixels_is_ours(monkeypatch, limit):
    """Any library may have changed Pillow's own, for the whole process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 30)

    assert decode(encoded(0, "PNG", (6, 5))).shape == (5, 6, 3)
    with pytest.raises(UnreadableError, match="31 x 1 are too many pixels"):
        decode(encoded(0, "PNG", (31, 1)))


@pytest.mark.parametrize("bomb", ["png", "gif", "bmp", "ppm", "tiff"])
def test_a_bomb_is_not_decoded(bomb):
    """A few bytes that ask for gigabytes; refused by the header alone."""
    side = 30_000
    data = bombs(side)[bomb]
    assert side**2 > MAX_PIXELS
    tracemalloc.start()

    with pytest.raises(UnreadableError, match="30000 x 30000 are too many pixels to be safe"):
        decode(data)

    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_long_line_of_pixels_is_a_picture():
    """Panoramas are no attack."""
    assert decode(encoded(0, "PNG", (20_000, 1))).shape == (1, 20_000, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is an empty file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "it is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no picture"),
        (png(0, 5, (8, 2)), "damaged or empty PNG"),
        (png(5, 0, (8, 2)), "damaged or empty PNG"),
        (b"P6 0 7 255\n", "damaged or empty PPM"),
        (b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";", "damaged or empty GIF"),
        (b"GIF89a", "damaged or empty GIF"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "Truncated"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ],
    ids=range(10),
)
def test_what_has_no_pixels_says_what_it_is(data, words):
    """Empty files, drawings called .png, pictures without area, animations without a frame."""
    with pytest.raises(UnreadableError, match=words):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", WEBP])
def test_what_is_cut_short_is_refused(kind):
    """Pillow opens the header of half a file without complaint."""
    data = saved(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)), kind
    )

    with pytest.raises(UnreadableError):
        decode(data[: len(data) // 2])


def test_a_program_is_never_started(monkeypatch):
    """Pillow runs Ghostscript for PostScript, which is a language."""
    from PIL import EpsImagePlugin

    def run(*args, **options):
        pytest.fail("Ghostscript was asked for")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    script = saved(Image.new("RGB", (4, 4)), "EPS")

    with pytest.raises(UnreadableError, match="no picture"):
        decode(script)


def test_a_picture_is_not_changed_by_what_is_decoded_beside_it():
    """Decoders keep their state to themselves."""
    data = [encoded(i, "PNG", (30, 20)) for i in range(8)]
    expected = [decode(one) for one in data]
    wrong = []

    def read():
        for _ in range(5):
            wrong.extend(i for i in range(8) if not np.array_equal(decode(data[i]), expected[i]))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_folder_of_odd_pictures_is_told_by_name(album):
    """All that are bad at once, each with its reason; the good ones are used if the user says so."""
    album.write("a/good.png", "b/good.jpg")
    album.put("photos/a/empty.png", b"")
    album.put("photos/a/bomb.png", png(30_000, 30_000, (8, 2)))
    album.put("photos/b/flat.png", png(0, 5, (8, 2)))
    album.put("photos/b/drawing.png", "<svg/>")

    actual = ImageFolder(root="photos", on_bad_image="skip").open(album.context)

    assert actual.ids == ("a/good.png", "b/good.jpg")
    (note,) = actual.notes
    assert "4 images left out" in note
    assert "a/bomb.png (its 30000 x 30000 are too many pixels to be safe" in note
    assert "b/flat.png (it is a damaged or empty PNG picture)" in note
