"""The fixture of a folder with photos and a suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.tiny import SUITE, write_photos


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with photos and a suite beside them."""
    write_photos(tmp_path / "photos")
    (tmp_path / "tiny.toml").write_text(SUITE)
    return tmp_path
