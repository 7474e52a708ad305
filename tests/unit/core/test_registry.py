"""A component is found by name, wherever it comes from; a broken plug-in breaks nothing else."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from cbir_bench.core import registry as module
from cbir_bench.core.errors import BrokenPluginWarning, CbirBenchError, UnknownNameError
from cbir_bench.core.registry import METRICS, Registry


def test_what_could_not_be_imported_is_tried_again(registry, monkeypatch):
    """Where memory ran out, the second look must not say that there is no such component."""

    def fail(name):
        raise MemoryError

    monkeypatch.setattr(module.importlib, "import_module", fail)

    for _ in range(2):
        with pytest.raises(MemoryError):
            registry.names()


class Plugin:
    """An entry point of another package."""

    dist = SimpleNamespace(name="other-package")

    def __init__(self, name, load):
        self.name, self.load = name, load


@pytest.fixture
def plugins(monkeypatch):
    """Return a list to put entry points into."""
    entries = []
    monkeypatch.setattr(
        module,
        "entry_points",
        lambda group: entries if group == "cbir_bench.protocols" else [],
    )
    return entries


@pytest.fixture
def registry():
    """Return a registry over a package of ours that registers nothing in it."""
    return Registry("protocols", "protocol")


def test_what_is_registered_is_found(registry, plugins):
    """The decorator gives back what it was given."""

    @registry.register("one")
    def component():
        return 1

    assert component() == 1
    assert registry.get("one") is component
    assert registry.names() == ("one",)


def test_an_unknown_name_suggests_the_nearest(registry, plugins):
    """And lists all others."""
    registry.register("hnswlib")(object())
    registry.register("annoy")(object())

    with pytest.raises(UnknownNameError) as caught:
        registry.get("hnswlb")

    assert str(caught.value) == (
        "No protocol is called 'hnswlb'. Did you mean 'hnswlib'? Known: annoy, hnswlib."
    )


def test_an_empty_registry_says_what_to_do(registry, plugins):
    """Nothing to suggest."""
    with pytest.raises(UnknownNameError, match=r"none \(install a protocol\)"):
        registry.get("x")


def test_two_components_with_one_name_are_refused(registry):
    """Which one a suite meant would depend on the order of imports."""
    registry.register("one")(object())

    with pytest.raises(CbirBenchError, match="Two components want to be the protocol 'one'"):
        registry.register("one")(object())


def test_registering_the_same_component_again_is_fine(registry):
    """A module may be imported under two names."""
    component = object()

    registry.register("one")(component)
    registry.register("one")(component)

    assert registry.get("one") is component


def test_a_plugin_may_be_the_component_or_a_module_that_registers_it(registry, plugins):
    """Another package adds one without touching ours."""
    component, other = object(), object()

    def load_module():
        registry.register("from a module")(other)
        return ModuleType("other_package.components")

    plugins += [Plugin("direct", lambda: component), Plugin("ignored", load_module)]

    assert registry.names() == ("direct", "from a module")
    assert registry.get("direct") is component
    assert registry.get("from a module") is other


def test_a_broken_plugin_is_named_and_left_out(registry, plugins):
    """Everything else works on."""

    def broken():
        raise ImportError("no libfoo")

    plugins += [Plugin("bad", broken), Plugin("good", object)]

    with pytest.warns(
        BrokenPluginWarning, match="'bad' of other-package .* ImportError: no libfoo"
    ):
        names = registry.names()

    assert names == ("good",)


def test_plugins_are_loaded_once(registry, plugins):
    """The first question pays, the others do not."""
    loads = []
    plugins.append(Plugin("one", lambda: loads.append(1) or object()))

    registry.names(), registry.names(), registry.get("one")

    assert loads == [1]


def test_our_own_files_are_found_without_a_list():
    """A new file is a new metric."""
    assert {"ap", "map_at_r", "ndcg", "precision"} <= set(METRICS.names())
