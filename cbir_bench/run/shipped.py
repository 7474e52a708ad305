"""Suites that come with the package, found by name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from cbir_bench.core.errors import SettingError, did_you_mean
from cbir_bench.core.paths import expand_user

_PACKAGE: Final = Path(__file__).parents[1]
_FOLDERS: Final = (_PACKAGE / "_shipped" / "benchmarks", _PACKAGE.parent / "benchmarks")
"""Where suites lie in an installed package, and in a checkout."""


def shipped_suites() -> dict[str, Path]:
    """Return the file of every shipped suite by its name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder else {}


def find_suite(name: str) -> Path:
    """Return the file that ``name`` is, or the shipped suite that is called so.

    Raises:
        SettingError: if there is neither.
    """
    path = expand_user(name)
    if path.is_file():
        return path
    shipped = shipped_suites()
    if name in shipped:
        return shipped[name]
    raise SettingError(
        f"There is no suite file {name!r} and no shipped suite of that name."
        f"{did_you_mean(name, shipped)} Shipped: {', '.join(shipped) or 'none'}."
    )


def describe_suite(path: Path) -> str:
    """Return the first sentence of a suite's description."""
    text = str(tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""))
    return " ".join(text.split())
