"""Every example in a docstring, and on the pages beside the code, does what it shows."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

PACKAGES = ("core", "metrics", "protocols", "scoring")
DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("scoring.md", "protocols.md")
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules():
    """Return the names of all modules of the packages, themselves included."""
    names = []
    for package in PACKAGES:
        found = importlib.import_module(f"cbir_bench.{package}")
        names.append(found.__name__)
        names += [m.name for m in pkgutil.walk_packages(found.__path__, f"{found.__name__}.")]
    return names


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_hold(name):
    """They are the first thing that is copied."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", PAGES)
def test_examples_on_a_page_hold(name, tmp_path, monkeypatch):
    """One after the other, as a reader types them."""
    page = DOCS / name
    if not page.is_file():
        pytest.skip("pages are beside the tests in a checkout only")
    monkeypatch.chdir(tmp_path)
    text = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))

    result = doctest.DocTestRunner().run(
        doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    )

    assert result.failed == 0
