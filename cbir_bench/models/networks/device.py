"""Where a network runs."""

from __future__ import annotations

import torch

from cbir_bench.core.errors import SettingError


def found_device(wanted: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Raises:
        SettingError: if "cuda" is wanted but not there.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingError('There is no CUDA device. Set device = "auto" or "cpu".')
    return "cuda" if there and wanted != "cpu" else "cpu"
