"""Imports an index library when it is needed, or says how to install it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from cbir_bench.core.errors import MissingPackageError

PACKAGES: Final = {"faiss": "faiss-cpu"}
"""The package that brings a module, where the two are called differently."""


def load(module: str) -> Any:
    """Return the imported module of an index library.

    Raises:
        MissingPackageError: if it is not installed; the message holds the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # the library is there, but something that it needs is not
            raise
        raise MissingPackageError(f"The index {module!r}", PACKAGES.get(module, module)) from error
