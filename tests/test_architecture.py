"""The shape of the package: one arrow of imports, light stages, a fast command line."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cbir_bench

PACKAGE = Path(cbir_bench.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_shipped" not in p.parts)
STAGES = sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file())
KNOWS_ALL = {"run", "scoring", "cli"}
READS = {
    "report": {"records"},  # the end of the arrow: whatever draws or judges reads records only
    "models": {"files"},  # a leaf that imports core only: vectors that somebody made elsewhere
    "datasets": {"files"},
    "doctor": {"measure"},  # another end: it looks at what measuring looks at
}
CORE_MAY_IMPORT = {"numpy"} | set(sys.stdlib_module_names)
HEAVY = {
    "torch",
    "pandas",
    "timm",
    "faiss",
    "matplotlib",
    "sklearn",
    "scipy",
    "numba",
    "cv2",
    "open_clip",
    "pyarrow",
    "PIL",
}


def imported_modules(path: Path) -> set[str]:
    """Return the absolute names of every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def stage_of(path: Path) -> str:
    """Return the stage of a file: the folder below the package, or the module itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_stage_imports_core_and_itself_only(path: Path) -> None:
    """A stage that knew another could not be replaced alone."""
    stage = stage_of(path)
    if stage in KNOWS_ALL:
        return

    used = {name.split(".")[1] for name in imported_modules(path) if name.startswith("cbir_bench.")}

    assert used <= {"core", stage} | READS.get(stage, set())


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda p: p.name)
def test_core_imports_numpy_only(path: Path) -> None:
    """Every process loads core, so it has to stay light."""
    actual = {name.split(".")[0] for name in imported_modules(path)} - {"cbir_bench", "__future__"}

    assert actual <= CORE_MAY_IMPORT


@pytest.mark.parametrize(
    "group", ["indexes", "rerank", "quantizers", "models", "transforms", "datasets", "metrics"]
)
def test_listing_a_stage_loads_no_heavy_library(group: str) -> None:
    """The measuring worker and the command line list components; torch alone would cost seconds."""
    code = (
        "import sys\n"
        "from cbir_bench.core import registry as r\n"
        f"[x.names() for x in vars(r).values() if getattr(x, 'package', '') == 'cbir_bench.{group}']\n"
        "print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert HEAVY.isdisjoint(loaded)


def test_help_loads_no_array_library() -> None:
    """--help answers at once: NumPy alone takes longer than the whole answer should."""
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from cbir_bench.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert (HEAVY | {"numpy", "pydantic", "rich"}).isdisjoint(loaded)


def test_no_package_in_the_top_level_folders() -> None:
    """A top-level `datasets` package would shadow Hugging Face's for every library that looks."""
    root = Path(__file__).parents[1]

    folders = ("benchmarks", "datasets", "results")

    actual = [folder for folder in folders if (root / folder / "__init__.py").exists()]

    assert actual == []


def test_the_package_never_asserts_on_input_and_never_prints() -> None:
    """Assertions vanish under -O, and output belongs to the command line."""
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = (
                node.func.id
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                else ""
            )
            if isinstance(node, ast.Assert) or name == "print":
                wrong.append(f"{path.name}:{node.lineno}")

    assert wrong == []
