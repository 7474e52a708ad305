"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, weights and vectors; tests that need it skip where it is absent."""
    beside = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("CBIR_BENCH_TEST_DATA", beside))
    if not (folder / "weights").is_dir():
        pytest.skip(f"no real data in {folder}; set CBIR_BENCH_TEST_DATA to a folder that has it")
    return folder
