"""A component's fields are its options: built by name, printed, keyed, explained."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Literal, get_args

import pytest
from annotated_types import Ge

from cbir_bench.core.component import (
    LATER,
    Setting,
    create,
    describe,
    field_types,
    help_texts,
    setting_of,
)
from cbir_bench.core.errors import SettingError, UnknownNameError
from cbir_bench.core.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Links between near items.

    Attributes:
        m: links per item, at least 2.
        mode: how it is built: fast is
            good enough for most.

    What follows explains no option.
    """

    m: Annotated[int, Ge(2)] = 16
    mode: Literal["fast", "slow"] = "fast"

    def __post_init__(self):
        if self.mode == "slow" and self.m > 32:
            raise SettingError("m is too large for slow. Lower it.")


@pytest.fixture
def registry():
    registry = Registry("protocols", "index")
    registry.register("graph")(Graph)
    registry.register("none")(dataclass(type("Nothing", (), {"__annotations__": {}})))
    return registry


def test_a_component_is_built_by_name(registry):
    """Options that are not given have their defaults."""
    assert create(registry, "graph", {"m": 8}) == Graph(m=8)


def test_unknown_names_and_options_are_refused_with_a_suggestion(registry):
    """A typo must not become a default."""
    with pytest.raises(UnknownNameError, match="Did you mean 'graph'"):
        create(registry, "grahp", {})
    with pytest.raises(SettingError, match=r"no option 'mdoe'\. Did you mean 'mode'.* m, mode"):
        create(registry, "graph", {"mdoe": "fast"})
    with pytest.raises(SettingError, match="Options: none"):
        create(registry, "none", {"x": 1})


def test_what_a_component_refuses_itself_keeps_its_words(registry):
    """Relations between options are its own business."""
    with pytest.raises(SettingError, match="too large for slow"):
        create(registry, "graph", {"m": 64, "mode": "slow"})


def test_a_setting_builds_its_component_again(registry):
    """Records hold settings, not objects."""
    setting = setting_of("graph", Graph(m=8))

    assert create(registry, setting.use, setting.values) == Graph(m=8)
    assert setting.to_json() == {"use": "graph", "m": 8, "mode": "fast"}


def test_defaults_are_part_of_the_key():
    """A default that changes between versions is another setting."""
    assert setting_of("graph", Graph()).values == {"m": 16, "mode": "fast"}


def test_the_label_is_no_part_of_equality():
    """Renaming a curve measures nothing again."""
    named, plain = setting_of("graph", Graph(), "Fast one"), setting_of("graph", Graph())

    assert named == plain
    assert hash(named) == hash(plain)
    assert (str(named), str(plain)) == ("Fast one", "graph")
    assert str(Setting(use="graph", options="{}")) == "graph"


def test_a_description_names_what_differs_from_the_defaults():
    """Short enough for a legend."""
    assert describe("graph", Graph()) == "graph"
    assert describe("graph", Graph(m=8, mode="slow")) == "graph(m=8, mode=slow)"


def test_types_keep_their_constraints():
    """The suite's validator enforces them."""
    actual = field_types(Graph)

    assert get_args(actual["m"]) == (int, Ge(2))
    assert get_args(actual["mode"]) == ("fast", "slow")


def test_help_texts_are_those_of_the_docstring():
    """Lines that go on are joined; text after the list is none of an option's."""
    assert help_texts(Graph) == {
        "m": "links per item, at least 2.",
        "mode": "how it is built: fast is good enough for most.",
    }


@pytest.mark.parametrize(("value", "options"), [(1, '{"m":2}'), (3, '{"later":3,"m":2}')])
def test_an_option_that_came_later_leaves_old_keys_as_they_are(value, options):
    """At its default it is left out, so that records made before it are still found."""
    grown = make_dataclass(
        "Grown", [("m", int, 2), ("later", int, field(default=1, metadata=LATER))]
    )

    actual = setting_of("grown", grown(later=value))

    assert actual.options == options
    assert grown(**actual.values) == grown(later=value)
