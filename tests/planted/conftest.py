"""Fixtures for planted mistakes."""

from __future__ import annotations

import pytest
from planted.planting import Runner


@pytest.fixture(scope="session")
def runner():
    """What runs tests with a mistake, or without."""
    runner = Runner()
    yield runner
    runner.close()
