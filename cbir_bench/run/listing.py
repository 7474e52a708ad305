"""What `cbir-bench list` shows: kinds, names, and the options of one component."""

from __future__ import annotations

from dataclasses import MISSING, fields
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
)

from cbir_bench.core.component import field_types, help_texts
from cbir_bench.core.errors import UnknownNameError
from cbir_bench.core.registry import (
    DATASETS,
    INDEXES,
    METRICS,
    MODELS,
    QUANTIZERS,
    RERANKERS,
    TRANSFORMS,
)
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.run.shipped import describe_suite, shipped_suites
from cbir_bench.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cbir_bench.core.registry import Registry

_REGISTRIES: Final[dict[str, Registry[Any]]] = {
    "datasets": DATASETS,
    "models": MODELS,
    "transforms": TRANSFORMS,
    "quantizers": QUANTIZERS,
    "indexes": INDEXES,
    "rerankers": RERANKERS,
    "metrics": METRICS,
}
_TABLES: Final[dict[str, type[Any]]] = {"training": TrainingRecipe, "measure": MeasureSettings}
"""Tables of a suite whose options are no component's."""


def list_kinds(kinds: Iterable[str]) -> str:
    """Return every kind with its names, one line each."""
    lines = [f"{kind:<12}{', '.join(_texts(kind))}" for kind in kinds]
    return "\n".join(
        [
            *lines,
            "",
            "Show one kind:       cbir-bench list indexes",
            "Show one component:  cbir-bench list indexes hnswlib",
        ]
    )


def list_kind(kind: str) -> str:
    """Return the names of one kind with the first sentence about each."""
    texts = _texts(kind)
    width = max(map(len, texts), default=0) + 2
    return "\n".join(f"{name:<{width}}{text}" for name, text in texts.items())


def list_one(kind: str, name: str) -> str:
    """Return what a component does, and its options with type, default and meaning.

    Raises:
        UnknownNameError: if nothing of the kind is called so.
    """
    if kind == "suites":
        suites = shipped_suites()
        if name not in suites:
            raise UnknownNameError("suite", name, suites)
        return suites[name].read_text(encoding="utf-8").rstrip()
    component = _component(kind, name)
    about = (component.__doc__ or "").split("Attributes:")[0].split("Args:")[0]
    lines = [name, "", *(f"  {line.strip()}".rstrip() for line in about.strip().splitlines())]
    if kind != "metrics":
        lines += ["", *_options(component)]
    return "\n".join(lines).rstrip()


def _options(component: type[Any]) -> list[str]:
    texts, hints = help_texts(component), field_types(component)
    search: frozenset[str] = getattr(component, "SEARCH_PARAMS", frozenset())
    lines = []
    for option in fields(component):
        default = "" if option.default is MISSING else f" = {option.default!r}"
        mark = "   (search setting: swept without a new build)" if option.name in search else ""
        lines.append(f"  {option.name}: {_type_text(hints[option.name])}{default}{mark}")
        lines.append(f"      {texts.get(option.name, '')}".rstrip())
    return lines or ["  It has no options."]


def _type_text(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _type_text(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return " | ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) in {UnionType, Union}:
        return " | ".join(_type_text(one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_type_text(get_args(hint)[0])}"
    if hint is type(None):
        return "None"
    return getattr(hint, "__name__", None) or str(hint).replace("typing.", "")


def _component(kind: str, name: str) -> Any:
    if kind == "protocols":
        if name not in PROTOCOLS:
            raise UnknownNameError("protocol", name, PROTOCOLS)
        return PROTOCOLS[name]
    if kind == "tables":
        if name not in _TABLES:
            raise UnknownNameError("table", name, _TABLES)
        return _TABLES[name]
    return _REGISTRIES[kind].get(name)


def _texts(kind: str) -> dict[str, str]:
    if kind == "suites":
        return {name: describe_suite(path) for name, path in shipped_suites().items()}
    fixed = {"protocols": PROTOCOLS, "tables": _TABLES}
    names = tuple(fixed[kind]) if kind in fixed else _REGISTRIES[kind].names()
    return {name: _first_sentence(_component(kind, name).__doc__ or "") for name in names}


def _first_sentence(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split())
