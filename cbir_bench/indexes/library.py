"""Imports an index library when it is needed, or says how to install it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from cbir_bench.core.errors import MissingPackageError

PACKAGES: Final = {"faiss": "faiss-cpu", "usearch.index": "usearch"}
"""The package that brings a module, where the two are called differently."""


def load(module: str) -> Any:
    """Return the imported module of an index library.

    One that compiles itself when it is first used has done so when this returns, so that no build is
    charged for it.

    Raises:
        MissingPackageError: if it is not installed; the message holds the command that installs it.
    """
    try:
        library = import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in {module, module.partition(".")[0]}:
            raise  # the library is there, but something that it needs is not
        raise MissingPackageError(f"The index {module!r}", PACKAGES.get(module, module)) from error
    if module == "pynndescent":
        _compile_pynndescent(library.NNDescent)
    return library


@cache
def _compile_pynndescent(descent: Any) -> None:
    """Build and search once in each space; minutes at the very first time, seconds from then on."""
    random = np.random.default_rng(0)
    base = random.standard_normal((300, 8)).astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    for metric in ("euclidean", "dot"):
        index = descent(base, metric=metric, n_neighbors=10, random_state=0, n_jobs=1)
        index.query(base[:1], 5, 0.1, None, None, None, False, metric == "dot")
