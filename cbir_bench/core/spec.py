"""Components in one line of text: ``timm(backbone=resnet50, pooling=gem)``."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from cbir_bench.core.errors import SettingError

_WHOLE: Final = re.compile(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_OPTION: Final = re.compile(
    r"""\s*(\w+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,"'()]*?(?:\([^()]*\))?[^,"'()]*?)\s*(?:,|$)"""
)
_TRUTHS: Final = {"true": True, "false": False}


class Spec(NamedTuple):
    """The name of a component and the options that were given.

    Attributes:
        use: the name.
        options: numbers and truths as such, everything else as text.
        written: the same as they were written, without quotes.
    """

    use: str
    options: dict[str, Any]
    written: dict[str, str]


def parse_spec(text: str) -> Spec:
    """Return the component that a line names, with its options.

    Values are written as in a suite file; quotes may be left out where a text has no comma, quote or
    parenthesis.

    Raises:
        SettingError: if the line is not of the form ``name(option=value, ...)``.
    """
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise _wrong(text)
    options: dict[str, Any] = {}
    written: dict[str, str] = {}
    inside, place = (whole[2] or "").strip(), 0
    while place < len(inside):
        option = _OPTION.match(inside, place)
        if option is None or not option[2]:
            raise _wrong(text)
        if option[1] in options:
            raise SettingError(f"{text!r} gives {option[1]} twice. Give it once.")
        written[option[1]] = _unquoted(option[2])
        options[option[1]] = _value(option[2])
        place = option.end()
    return Spec(whole[1], options, written)


def _unquoted(text: str) -> str:
    if text[0] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text[1:-1] if text[0] == "'" else text


def _value(text: str) -> Any:
    if text[0] in "\"'":
        return _unquoted(text)
    if text in _TRUTHS:
        return _TRUTHS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _wrong(text: str) -> SettingError:
    return SettingError(
        f"{text!r} names no component. Write name(option=value, ...), for example "
        "'timm(backbone=test_resnet, pooling=gem)'."
    )
