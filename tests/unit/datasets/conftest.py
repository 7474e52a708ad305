"""Small pictures on disk, in memory and behind a server, and the context that finds them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir_bench.core.dataset import DataContext


def encoded(seed: int, kind: str = "PNG", size: tuple[int, int] = (6, 5)) -> bytes:
    """Return a picture of random pixels, ``size`` wide and high."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


class Album:
    """A folder that tests fill with pictures."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.context = DataContext(folders=(root,), cache=root / "cache")

    def write(self, *names: str, folder: str = "photos") -> None:
        """Write a different picture under each name."""
        for seed, name in enumerate(names):
            self.put(f"{folder}/{name}", encoded(seed, "JPEG" if name.endswith("jpg") else "PNG"))

    def put(self, name: str, data: bytes | str) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def pack(self, folder: str, archive: str, top: str = "") -> None:
        """Write the files of a folder into a zip archive, below ``top`` there."""
        with zipfile.ZipFile(self.root / archive, "w") as out:
            for path in sorted((self.root / folder).rglob("*")):
                if path.is_file():
                    out.write(path, f"{top}{path.relative_to(self.root / folder).as_posix()}")


@pytest.fixture
def album(tmp_path: Path) -> Album:
    """An empty folder to write pictures into, with a context that finds them."""
    return Album(tmp_path)


@pytest.fixture
def picture() -> bytes:
    """A JPEG of 64 x 48 pixels."""
    return encoded(7, "JPEG", (64, 48))
