"""A store, and the program that freezes numbers into one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cbir_bench.embeddings.store import EmbeddingStore

TESTS = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path):
    """A store that is empty."""
    return EmbeddingStore(tmp_path / "embeddings")


@pytest.fixture
def freezing(store):
    """Return what starts the program on that store; whatever still runs in the end is killed."""
    started = []

    def start(*options, **more):
        command = [sys.executable, "-m", "unit.embeddings.freezing", str(store.root)]
        process = subprocess.Popen(
            [*command, *map(str, options)],
            env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
