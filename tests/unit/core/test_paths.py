"""Paths as users write them, and keys of paths that are no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import key_of
from cbir_bench.core.paths import expand_user
from cbir_bench.run.places import Places


def test_a_tilde_is_the_home_and_a_stranger_is_left_as_written(monkeypatch):
    """A path of nobody's is reported as not found, not as a traceback."""
    monkeypatch.setenv("HOME", "/home/me")

    assert expand_user("~/a") == Path("/home/me/a")
    assert expand_user("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")


def test_a_cache_from_the_environment_may_start_with_a_tilde(monkeypatch, tmp_path):
    """No shell replaces it there; a folder called ~ surprises everybody."""
    monkeypatch.setenv("HOME", str(tmp_path))

    places = Places.of(tmp_path / "suite.toml", (), Path("~/cache"))

    assert places.embeddings == tmp_path / "cache" / "embeddings"


def test_without_a_home_the_cache_has_to_be_given(monkeypatch, tmp_path):
    """Containers run as users that nobody knows."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)

    with pytest.raises(SettingError, match="--cache"):
        Places.of(tmp_path / "suite.toml", (), None)


def test_a_path_that_is_no_utf8_has_the_key_of_its_bytes():
    """And so the same key in every locale."""
    text = "größe"
    undecoded = text.encode().decode("ascii", "surrogateescape")

    assert key_of(undecoded) == key_of(text)
    assert key_of("caf\udce9") != key_of("caf")
