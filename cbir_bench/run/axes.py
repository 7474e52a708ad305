"""A table of a suite file becomes settings: a list is an axis, a scalar is fixed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cbir_bench.core.component import Setting, describe, field_types, setting_of
from cbir_bench.core.errors import SettingError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cbir_bench.core.component import Option

Path = tuple[str | int, ...]
"""Where a value stands in the suite file: ("index", 2, "ef_search")."""


class Problem(NamedTuple):
    """What is wrong at one place of a suite file."""

    path: Path
    message: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of table: where its components are found by name.

    Attributes:
        noun: "index", "model", ...
        get: the component's class by name; raises UnknownNameError.
        names: every name.
        extra: keys that a table may have beside the component's options.
    """

    noun: str
    get: Callable[[str], type[Any]]
    names: Callable[[], Iterable[str]]
    extra: frozenset[str] = frozenset({"use", "label"})


def expand(kind: Kind, table: Mapping[str, Any], path: Path) -> tuple[list[Setting], list[Problem]]:
    """Return the settings of every combination of a table's axes, and every problem in it."""
    use = table.get("use")
    if not isinstance(use, str):
        known = ", ".join(sorted(kind.names()))
        return [], [
            Problem(path, f'This {kind.noun} has no name. Add use = "...", one of: {known}.')
        ]
    try:
        component = kind.get(use)
    except UnknownNameError as error:
        return [], [Problem((*path, "use"), str(error))]
    options = {name: value for name, value in table.items() if name not in kind.extra}
    label = table.get("label", "")
    if not isinstance(label, str):
        return [], [Problem((*path, "label"), "A label is a text in quotes.")]
    return expand_options(component, f"{kind.noun} {use!r}", options, path, use=use, label=label)


def expand_options(
    component: type[Any],
    what: str,
    options: Mapping[str, Any],
    path: Path,
    *,
    use: str,
    label: str = "",
) -> tuple[list[Setting], list[Problem]]:
    """Return one setting for each combination of the options' axes, and every problem in them."""
    problems: list[Problem] = []
    axes = {
        name: _values(component, what, (*path, name), value, problems)
        for name, value in options.items()
    }
    if problems:
        return [], problems
    settings: dict[Setting, None] = {}
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        try:
            made = component(**chosen)
        except SettingError as error:
            problems.append(Problem(path, str(error)))
            continue
        settings[setting_of(use, made, _label(label, use, made, axes, chosen))] = None
    return list(settings), problems


def _label(
    label: str, use: str, made: Any, axes: Mapping[str, list[Option]], chosen: Mapping[str, Option]
) -> str:
    """Return a label that tells the points of one table apart."""
    swept = [name for name, values in axes.items() if len(values) > 1]
    if not label:
        return describe(use, made, always=swept)
    shown = ", ".join(f"{name}={chosen[name]}" for name in swept)
    return f"{label} ({shown})" if shown else label


def _values(
    component: type[Any], what: str, path: Path, value: Any, problems: list[Problem]
) -> list[Option]:
    """Return the values of one option's axis in the option's own type (4 becomes 4.0 for a float).

    What is wrong is added to ``problems``.
    """
    name = str(path[-1])
    known = [f.name for f in fields(component)]
    if name not in known:
        hint = f"{did_you_mean(name, known)} Options: {', '.join(known) or 'none'}."
        problems.append(Problem(path, f"The {what} has no option {name!r}.{hint}"))
        return []
    if value == []:
        text = "An axis needs at least one value. Fill the list or drop it."
        problems.append(Problem(path, text))
        return []
    option_type = field_types(component)[name]
    adapter: TypeAdapter[Any] = TypeAdapter(
        option_type, config=ConfigDict(strict=True, allow_inf_nan=False)
    )
    values = []
    for place, one in enumerate(value if isinstance(value, list) else [value]):
        try:
            values.append(adapter.validate_python(one))
        except ValidationError as error:
            where = (*path, place) if isinstance(value, list) else path
            problems += [Problem(where, explain(e, one)) for e in error.errors()]
    return values


def explain(error: Any, value: Any) -> str:
    """Return pydantic's message as a sentence that shows the value."""
    message = error["msg"].removeprefix("Input should be").strip()
    shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:57]}..."
    if error["msg"].startswith("Input should be"):
        text = f"The value is {shown}; it should be {message}."
    else:
        text = f"{error['msg']}."
    expected = (error.get("ctx") or {}).get("expected", "")
    if error["type"] == "literal_error" and isinstance(value, str):
        text += did_you_mean(value, [part.strip("'") for part in _choices(expected)])
    return text


def _choices(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")
