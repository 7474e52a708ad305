"""Markdown that says what it was given: user text is escaped, tables read well as plain text too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL: Final = re.compile(
    r"([\\`*\[\]<>|~#&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=[A-Za-z]):(?=//))"
)
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f]+")


def escape(text: object) -> str:
    """Return text on one line in which Markdown and HTML see nothing special.

    An underscore within a word is left alone, since Markdown does the same.
    """
    return _SPECIAL.sub(r"\\\1", _BLANKS.sub(" ", str(text)).strip())


def code(text: object) -> str:
    """Return text in typewriter type, on one line."""
    plain = _BLANKS.sub(" ", str(text)).strip()
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", r"\|")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a table of cells that are Markdown already, padded to even columns.

    Args:
        headers: one per column.
        rows: cells, as many as headers.
        right: numbers of the columns to align to the right.
    """
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(headers))]
    to_right = set(right)
    rule = ["-" * (w - 1) + (":" if i in to_right else "-") for i, w in enumerate(widths)]
    lines.insert(1, rule)
    return "\n".join(_line(cells, widths, to_right) for cells in lines)


def slug(text: str, taken: set[str]) -> str:
    """Return a file name for a text, unlike those taken, and take it."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "unnamed"
    name, n = plain, 1
    while name in taken:
        n += 1
        name = f"{plain}-{n}"
    taken.add(name)
    return name


def _line(cells: Sequence[str], widths: Sequence[int], right: set[int]) -> str:
    padded = [
        cell.rjust(width) if i in right else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
