"""A process that imports one library and says what came of it, as JSON in its last line of output."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from cbir_bench.core.errors import first_line
from cbir_bench.measure.simd import library_simd


def told(module: str) -> dict[str, Any]:
    """Return ``problem``, empty if the module can be imported, and ``simd``."""
    try:
        library = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  a broken library may raise anything
        return {"problem": f"import {module}: {first_line(error)}", "simd": None}
    return {"problem": "", "simd": library_simd(library)}


if __name__ == "__main__":
    sys.stdout.write(f"\n{json.dumps(told(sys.argv[1]))}\n")
    sys.stdout.flush()
    # Destructors of libraries could only take time, or crash.
    os._exit(0)
