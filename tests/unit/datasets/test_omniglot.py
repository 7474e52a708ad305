"""Omniglot: the layout, the splits, and a download that is right or not there."""

import functools
import hashlib
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import DataError
from cbir_bench.datasets import manifests
from cbir_bench.datasets.download import download
from cbir_bench.datasets.manifests import ManifestFile
from cbir_bench.datasets.omniglot import Omniglot

ARCHIVES = {"images_background": ("Greek", "Latin"), "images_evaluation": ("Gurmukhi",)}


def archive(top, alphabets):
    """Return an archive with two characters of three drawings in each alphabet."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for number, alphabet in enumerate(alphabets):
            for character in (1, 2):
                for drawing in (1, 2, 3):
                    bits = np.random.default_rng([number, character, drawing]).random((9, 9)) < 0.5
                    png = io.BytesIO()
                    Image.fromarray(bits).save(png, "PNG")
                    name = f"{top}/{alphabet}/character{character:02d}/00{character:02d}_{drawing:02d}.png"
                    packed.writestr(name, png.getvalue())
    return out.getvalue()


@pytest.fixture
def packed():
    return {f"{top}.zip": archive(top, alphabets) for top, alphabets in ARCHIVES.items()}


def fill(album, packed, folder):
    for name, data in packed.items():
        album.put(f"{folder}/{name}", data)


@pytest.mark.parametrize("folder", ["omniglot", "."])
def test_background_is_training_and_evaluation_is_test(album, packed, folder):
    """Classes of the splits are disjoint by the authors' own division."""
    fill(album, packed, folder)

    dataset = Omniglot(fetch=False).open(album.context)

    assert [len(dataset.rows(split)) for split in Split] == [12, 0, 6]
    assert dataset.labels.names == tuple(
        f"{a}/character{c:02d}" for a in ("Greek", "Gurmukhi", "Latin") for c in (1, 2)
    )
    assert dataset.ids[0] == "images_background/Greek/character01/0001_01.png"
    assert dataset.images.read([0, 17])[1].shape == (9, 9, 3)


def test_an_alphabet_is_a_coarse_class(album, packed):
    """Characters of one alphabet look more alike than those of two."""
    fill(album, packed, "omniglot")

    dataset = Omniglot(fetch=False).open(album.context)

    coarse = dataset.labels_called("coarse")
    assert coarse.names == ("Greek", "Gurmukhi", "Latin")
    assert [coarse.names[c] for c in coarse.first()] == [i.split("/")[1] for i in dataset.ids]


def test_another_packing_is_noted(album, packed):
    """The numbers of a re-packed or cut-down copy should not pass for the official ones."""
    fill(album, packed, "omniglot")

    notes = Omniglot(fetch=False).open(album.context).notes

    assert "Licence: MIT" in notes[0]
    assert "images_background.zip is not the official file" in notes[1]
    assert "it holds 12 of its 19,280 drawings" in notes[1]


def test_every_nth_drawing(album, packed):
    """A third of Omniglot is enough for a quick look."""
    fill(album, packed, "omniglot")

    dataset = Omniglot(every=3, fetch=False).open(album.context)

    assert len(dataset) == 6
    assert len(dataset.labels.names) == 6


def test_without_archives_and_without_fetching_nothing_is_asked(album):
    """A measuring machine may be offline on purpose."""
    with pytest.raises(DataError, match="fetch = true"):
        Omniglot(fetch=False).open(album.context)


def test_another_layout_is_refused(album, packed):
    """An archive called the same from elsewhere."""
    fill(album, packed, "omniglot")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as other:
        other.writestr("a.png", b"")
    album.put("omniglot/images_evaluation.zip", out.getvalue())

    with pytest.raises(DataError, match="holds no folder/alphabet/character"):
        Omniglot(fetch=False).open(album.context)


class Server(http.server.ThreadingHTTPServer):
    """Sends what it has; a name that starts with "cut-" loses its second half on the way."""

    def __init__(self, files):
        self.files = files
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path[1:]
        self.server.asked.append(name)
        data = self.server.files.get(name.removeprefix("cut-"))
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if name.startswith("cut-") else data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(packed):
    with Server(packed) as running:
        thread = threading.Thread(target=functools.partial(running.serve_forever, 0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def wanted(server, data, *, name="images_background.zip", path=None, **changes):
    values = {
        "name": name,
        "url": server.url(path or name),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "n_images": 12,
    }
    return ManifestFile(**(values | changes))


def test_absent_archives_are_downloaded_once(album, packed, server, monkeypatch):
    """Addresses and hashes come from the manifest; a second run finds the files in the cache."""
    folder = next(folder for folder in manifests.FOLDERS if folder.is_dir())
    manifest = (folder / "omniglot.toml").read_text()
    for name, data in packed.items():
        old = next(f for f in manifests.find_manifest("omniglot").files if f.name == name)
        for before, after in (
            (old.url, server.url(name)),
            (old.sha256, hashlib.sha256(data).hexdigest()),
            (f"bytes = {old.bytes}", f"bytes = {len(data)}"),
        ):
            manifest = manifest.replace(before, after)
    album.put("manifests/omniglot.toml", manifest)
    monkeypatch.setattr(manifests, "FOLDERS", (album.root / "manifests",))

    first = Omniglot().open(album.context)
    second = Omniglot().open(album.context)

    assert sorted(server.asked) == sorted(packed)
    assert first.content_hash == second.content_hash
    assert len(first.notes) == 1
    assert sorted(p.name for p in (album.root / "cache" / "omniglot").iterdir()) == sorted(packed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "in place of 0000"),
        ({"path": "cut-images_background.zip"}, "bytes. Run again"),
        ({"path": "gone.zip"}, r"answered 404 \(Not Found\)"),
        ({"url": "http://127.0.0.1:1/x.zip"}, "could not be downloaded: .*refused"),
        ({"url": ""}, "is no web address"),
        ({"url": "file:///etc/passwd"}, "is no web address"),
    ],
)
def test_a_download_that_fails_leaves_nothing(album, packed, server, changes, message):
    """One sentence with what happened and how to go on by hand, and no half of a file in the cache."""
    file = wanted(server, packed["images_background.zip"], **changes)

    with pytest.raises(DataError, match=message) as caught:
        download(file, album.root / "cache")

    assert "by hand" in str(caught.value)
    assert list((album.root / "cache").iterdir()) == []


def test_a_silent_server_is_given_up(album, monkeypatch):
    """It answers the telephone and says nothing."""
    import socket

    from cbir_bench.datasets import download as module

    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.zip"
        file = ManifestFile(name="x.zip", sha256="0", bytes=1, n_images=1, url=url)

        with pytest.raises(DataError, match=r"could not be downloaded: .*timed out"):
            download(file, album.root)


def test_the_real_archives(real_data, tmp_path):
    """All 1,623 characters, disjoint between training and test."""
    from cbir_bench.core.dataset import DataContext

    dataset = Omniglot(fetch=False, every=20).open(
        DataContext(folders=(real_data,), cache=tmp_path)
    )

    codes = dataset.labels.first()
    assert [len(set(codes[dataset.rows(split)])) for split in Split] == [964, 0, 659]
    assert not set(codes[dataset.rows(Split.TRAIN)]) & set(codes[dataset.rows(Split.TEST)])
    assert dataset.images.read([0])[0].shape == (105, 105, 3)
