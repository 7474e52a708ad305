"""`cbir-bench list` shows every component and every option, so that nobody has to read the code."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cbir_bench.core.errors import UnknownNameError
from cbir_bench.core.registry import INDEXES
from cbir_bench.run.listing import list_kind, list_kinds, list_one


def test_every_kind_is_listed_with_its_names():
    """The first thing a new user asks."""
    actual = list_kinds(["datasets", "indexes", "protocols", "metrics", "suites"])

    for name in ("image_folder", "hnswlib", "full-base", "map_at_r", "quickstart"):
        assert name in actual


@pytest.mark.parametrize(
    "kind", ["datasets", "models", "quantizers", "indexes", "rerankers", "protocols"]
)
def test_every_name_comes_with_a_sentence(kind):
    """A bare list of names explains nothing."""
    for line in list_kind(kind).splitlines():
        name, _, text = line.partition("  ")
        assert name
        assert text.strip().endswith(".")


def test_every_option_is_shown_with_type_default_and_meaning():
    """The dataclass is the help text."""
    actual = list_one("indexes", "hnswlib")

    for option in fields(INDEXES.get("hnswlib")):
        assert f"  {option.name}: " in actual
    assert "m: int = 16" in actual
    assert "ef_search: int = " in actual
    assert "swept without a new build" in actual


def test_choices_are_spelled_out():
    """A Literal shows its values."""
    assert "'avg' | 'max' | 'gem'" in list_one("models", "timm")


def test_a_shipped_suite_is_printed_as_it_is():
    """The best start for a suite of one's own."""
    assert '[[dataset]]\nuse = "products"' in list_one("suites", "quickstart")


@pytest.mark.parametrize("kind", ["indexes", "protocols", "suites", "metrics"])
def test_an_unknown_name_is_refused(kind):
    """With the names there are."""
    with pytest.raises(UnknownNameError, match="Known:"):
        list_one(kind, "nothing")


@pytest.mark.parametrize("name", ["training", "measure"])
def test_tables_of_a_suite_have_help_for_every_option(name: str) -> None:
    """Nobody should have to read code to train."""
    lines = list_one("tables", name).splitlines()

    options = [i for i, line in enumerate(lines) if line.startswith("  ") and " = " in line]
    assert len(options) >= 5
    assert all(lines[i + 1].startswith("      ") for i in options)


def test_a_table_that_there_is_none_of_is_refused() -> None:
    """With the nearest name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'training'"):
        list_one("tables", "trainin")
