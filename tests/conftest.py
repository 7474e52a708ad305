"""Fixtures for every test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# Tests run side by side, and none of them measures anything that another one could spoil.
os.environ.setdefault(
    "CBIR_BENCH_LOCK", str(Path(tempfile.gettempdir()) / f"cbir_bench-test-{os.getpid()}.lock")
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, weights and vectors; tests that need it skip where it is absent."""
    beside = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("CBIR_BENCH_TEST_DATA", beside))
    if not (folder / "weights").is_dir():
        pytest.skip(f"no real data in {folder}; set CBIR_BENCH_TEST_DATA to a folder that has it")
    return folder
