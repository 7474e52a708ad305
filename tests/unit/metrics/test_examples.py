"""What docstrings and the page on metrics show is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import cbir_bench.metrics
from cbir_bench.core.registry import METRICS

MODULES = sorted(module.name for module in pkgutil.iter_modules(cbir_bench.metrics.__path__))
PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    """They are the first thing that is copied."""
    module = importlib.import_module(f"cbir_bench.metrics.{name}")

    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_of_ours_shows_an_example(name):
    """A number says which of several definitions it is."""
    function = METRICS.get(name)
    if not function.__module__.startswith("cbir_bench."):
        pytest.skip("another package's")

    assert doctest.DocTestFinder().find(function)[0].examples


def test_examples_on_the_page_of_metrics_hold(monkeypatch):
    """One after the other, as a reader types them."""
    METRICS.names()  # what is shipped, so that the page's own metric is forgotten alone
    monkeypatch.setattr(METRICS, "_components", dict(METRICS._components))
    if not PAGE.is_file():
        pytest.skip("the page is beside the tests in a checkout only")
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)

    result = doctest.DocTestRunner().run(test)

    assert result.attempted > 10
    assert result.failed == 0
