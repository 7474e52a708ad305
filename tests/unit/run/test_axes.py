"""A table of a suite file becomes the settings of its axes, or a list of everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from annotated_types import Ge

from cbir_bench.core.errors import SettingError, UnknownNameError
from cbir_bench.run.axes import Kind, expand


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A component for these tests."""

    m: Annotated[int, Ge(2)] = 16
    ef_search: int = 64
    rate: float = 0.5
    mode: Literal["fast", "slow"] = "fast"

    def __post_init__(self):
        if self.ef_search < self.m:
            raise SettingError(f"ef_search = {self.ef_search} is below m = {self.m}. Raise it.")


def get(name):
    if name != "graph":
        raise UnknownNameError("index", name, ["graph"])
    return Graph


KIND = Kind(noun="index", get=get, names=lambda: ["graph"])


def test_a_list_is_an_axis_and_a_scalar_is_fixed():
    """The whole sweep language in one sentence."""
    settings, problems = expand(
        KIND, {"use": "graph", "m": [8, 16], "ef_search": [32, 64]}, ("index", 0)
    )

    actual = [(s.values["m"], s.values["ef_search"]) for s in settings]

    assert problems == []
    assert actual == [(8, 32), (8, 64), (16, 32), (16, 64)]


def test_defaults_are_part_of_the_setting():
    """A changed default is another trial, never a silent reuse of an old record."""
    settings, _ = expand(KIND, {"use": "graph"}, ("index", 0))

    assert settings[0].values == {"m": 16, "ef_search": 64, "rate": 0.5, "mode": "fast"}


def test_the_same_point_twice_is_one_setting():
    """Writing a default out, or a value twice, must not measure it twice."""
    settings, _ = expand(KIND, {"use": "graph", "m": [16, 16]}, ("index", 0))

    assert len(settings) == 1


@pytest.mark.parametrize(
    ("table", "path", "message"),
    [
        ({"use": "grph"}, ("index", 0, "use"), "No index is called 'grph'. Did you mean 'graph'?"),
        ({}, ("index", 0), 'Add use = "..."'),
        ({"use": "graph", "ef_serch": 1}, ("index", 0, "ef_serch"), "Did you mean 'ef_search'?"),
        (
            {"use": "graph", "m": "16"},
            ("index", 0, "m"),
            "The value is '16'; it should be a valid integer.",
        ),
        ({"use": "graph", "m": 16.5}, ("index", 0, "m"), "16.5"),
        ({"use": "graph", "m": True}, ("index", 0, "m"), "True"),
        ({"use": "graph", "m": [8, 1]}, ("index", 0, "m", 1), "greater than or equal to 2"),
        ({"use": "graph", "m": []}, ("index", 0, "m"), "at least one value"),
        ({"use": "graph", "mode": "fst"}, ("index", 0, "mode"), "Did you mean 'fast'?"),
        ({"use": "graph", "ef_search": 4}, ("index", 0), "ef_search = 4 is below m = 16"),
        ({"use": "graph", "label": 3}, ("index", 0, "label"), "text in quotes"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(table, path, message):
    """Nobody should have to read the code to correct a suite."""
    settings, problems = expand(KIND, table, ("index", 0))

    assert settings == []
    assert [p.path for p in problems] == [path]
    assert message in problems[0].message


def test_every_mistake_of_a_table_is_listed():
    """One round of corrections, not one per mistake."""
    _, problems = expand(KIND, {"use": "graph", "m": 0, "rate": "x", "foo": 1}, ("index", 0))

    assert len(problems) == 3


def test_a_label_is_told_apart_along_its_axes():
    """Two points of one table may not have one name in the report."""
    settings, _ = expand(
        KIND, {"use": "graph", "label": "G", "m": 8, "ef_search": [32, 64]}, ("index", 0)
    )

    assert [str(s) for s in settings] == ["G (ef_search=32)", "G (ef_search=64)"]


def test_a_label_is_no_part_of_the_key():
    """Renaming a line in the report must not measure it again."""
    plain, _ = expand(KIND, {"use": "graph"}, ("index", 0))
    named, _ = expand(KIND, {"use": "graph", "label": "G"}, ("index", 0))

    assert plain == named


def test_a_whole_number_for_a_float_is_the_same_point():
    """1 and 1.0 are one setting, one key and one measurement."""
    whole, _ = expand(KIND, {"use": "graph", "rate": 1}, ("index", 0))
    decimal, _ = expand(KIND, {"use": "graph", "rate": 1.0}, ("index", 0))

    assert whole == decimal


def test_a_default_that_is_a_value_of_an_axis_is_named():
    """A row called plain "graph" beside "graph(m=8)" would not say what it is."""
    settings, _ = expand(KIND, {"use": "graph", "m": [8, 16], "ef_search": 64}, ("index", 0))

    assert [str(setting) for setting in settings] == ["graph(m=8)", "graph(m=16)"]
