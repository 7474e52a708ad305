"""The content address of frozen vectors."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.embeddings import key
from cbir_bench.embeddings.key import embeddings_key, embeddings_origin, library_versions

ORIGIN = {
    "data_hash": "d",
    "rows": np.arange(5),
    "model": {"use": "timm", "seed": 0},
    "training": {"steps": 3},
    "weights_hash": "train",
    "versions": {"torch": "2"},
}
OTHERS = {
    "data_hash": "e",
    "rows": np.arange(1, 6),
    "model": {"use": "timm", "seed": 1},
    "training": None,
    "weights_hash": "random:0",
    "versions": {"torch": "3"},
}


def test_the_same_origin_has_the_same_key() -> None:
    """A second run freezes nothing."""
    again = {**ORIGIN, "rows": np.arange(5), "model": {"seed": 0, "use": "timm"}}

    assert embeddings_key(embeddings_origin(**ORIGIN)) == embeddings_key(embeddings_origin(**again))


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_changes_the_vectors_changes_the_key(name: str) -> None:
    """A stale artefact would be measured as if it were new."""
    other = {**ORIGIN, name: OTHERS[name]}

    assert embeddings_key(embeddings_origin(**ORIGIN)) != embeddings_key(embeddings_origin(**other))


def test_the_version_of_our_code_is_part_of_the_key(monkeypatch) -> None:
    """A corrected preprocessing must not find the old vectors."""
    before = embeddings_key(embeddings_origin(**ORIGIN))
    monkeypatch.setattr(key, "EMBEDDING_VERSION", key.EMBEDDING_VERSION + 1)

    assert embeddings_key(embeddings_origin(**ORIGIN)) != before


def test_versions_are_found_by_the_modules_name() -> None:
    """Pillow's module is called PIL; a package that is missing says so."""
    actual = library_versions(("PIL", "surely_not_installed"))

    assert actual["numpy"] == np.__version__
    assert actual["PIL"][0].isdigit()
    assert actual["surely_not_installed"] == "none"
