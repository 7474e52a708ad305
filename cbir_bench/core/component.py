"""A component is a frozen dataclass: its fields are sweep axes, record key and help text."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, get_type_hints

from cbir_bench.core.errors import SettingError, did_you_mean
from cbir_bench.core.hashing import canonical_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cbir_bench.core.registry import Registry

C = TypeVar("C")
Option: TypeAlias = Any
"""A JSON value: a string, a number, a boolean, null, or a table of them."""

_FIELD: Final = re.compile(r"^\s{4,8}(\w+): (.*)$")
LATER: Final = MappingProxyType({"later": True})
"""Metadata of an option that a component got later, with a default that changes nothing: at that value
it is no part of any key, so that what was measured before is still found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """The name of a component with one value for each of its options; hashable, printable.

    Attributes:
        use: the registered name.
        options: JSON text of every option, defaults included, so that a changed default is a changed
            key; but for those marked ``LATER``, whose defaults are left out.
        label: what reports call it; no part of equality or of any key.
    """

    use: str
    options: str
    label: str = field(default="", compare=False)

    @property
    def values(self) -> dict[str, Option]:
        """The options as a new dictionary."""
        options: dict[str, Option] = json.loads(self.options)
        return options

    def to_json(self) -> dict[str, Option]:
        """Return the name and the options as one flat table, as a suite file writes them."""
        return {"use": self.use, **self.values}

    def __str__(self) -> str:
        return self.label or self.use


def setting_of(use: str, component: Any, label: str = "") -> Setting:
    """Return the setting that builds ``component`` again."""
    values = {f.name: (getattr(component, f.name), f) for f in fields(component)}
    options = {
        name: value
        for name, (value, f) in values.items()
        if not (f.metadata.get("later") and value == f.default)
    }
    return Setting(
        use=use, options=canonical_json(options), label=label or describe(use, component)
    )


def describe(use: str, component: Any, always: Collection[str] = ()) -> str:
    """Return a short name: ``hnswlib(m=32)``, with the options that differ from their defaults.

    Args:
        use: the registered name.
        component: with its options.
        always: options that are named at their defaults, too.
    """
    changed = []
    for option in fields(component):
        value = getattr(component, option.name)
        default = (
            option.default_factory() if option.default_factory is not MISSING else option.default
        )
        if value != default or option.name in always:
            changed.append(f"{option.name}={value}")
    return f"{use}({', '.join(changed)})" if changed else use


def create(registry: Registry[type[C]], use: str, options: Mapping[str, Option]) -> C:
    """Return a component built by name.

    Raises:
        UnknownNameError: if no component has the name.
        SettingError: if an option is unknown, or the component refuses a value.
    """
    component = registry.get(use)
    known = [f.name for f in fields(component)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise SettingError(
                f"The {registry.noun} {use!r} has no option {name!r}.{did_you_mean(name, known)} "
                f"Options: {', '.join(known) or 'none'}."
            )
    try:
        return component(**options)
    except TypeError as error:
        raise SettingError(f"The {registry.noun} {use!r} cannot be made: {error}.") from error


def field_types(component: type[Any]) -> dict[str, Any]:
    """Return the type of each option, ``Annotated`` constraints included."""
    annotations = {f.name: f.type for f in fields(component)}
    scope = vars(sys.modules[component.__module__])
    holder = SimpleNamespace(__annotations__=annotations)
    return get_type_hints(holder, globalns=scope, include_extras=True)


def help_texts(component: type[Any]) -> dict[str, str]:
    """Return the help text of each option, read from ``Attributes:`` in the class's docstring."""
    texts: dict[str, str] = {}
    name = ""
    for line in (component.__doc__ or "").split("Attributes:", 1)[-1].splitlines():
        if match := _FIELD.match(line):
            name = match[1]
            texts[name] = match[2].strip()
        elif name and line.startswith(" " * 9) and line.strip():
            texts[name] += f" {line.strip()}"
        elif not line.strip():
            name = ""
    return {f.name: texts[f.name] for f in fields(component) if f.name in texts}
