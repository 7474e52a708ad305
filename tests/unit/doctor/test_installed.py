"""What is installed, what is missing, and whether libraries can be imported."""

from __future__ import annotations

import subprocess
import sys
from email.message import Message

import numpy as np
import pytest

from cbir_bench.doctor import installed as module
from cbir_bench.doctor import requirements as requirements_module
from cbir_bench.doctor.installed import installed, probe
from cbir_bench.measure.provenance import provenance


@pytest.fixture
def wanted(monkeypatch):
    """Sets what the package's metadata asks for, and which modules of index libraries there are."""

    def ask(*requirements: str, modules=None):
        told = Message()
        told["Provides-Extra"] = "more"
        for line in requirements:
            told["Requires-Dist"] = line
        monkeypatch.setattr(requirements_module, "metadata", lambda _: told)
        monkeypatch.setattr(module, "_index_modules", lambda: modules or {})

    return ask


def test_what_is_there_has_a_version_and_an_origin(wanted):
    """Both decide whether times can be compared."""
    wanted("numpy>=1")

    (actual,) = installed()

    assert (actual.name, actual.version) == ("numpy", np.__version__)
    assert actual.origin == str(provenance("numpy"))
    assert actual.required
    assert not actual.problem


def test_what_is_missing_comes_with_the_command_that_installs_it(wanted):
    """An extra is installed by its own name, so that its version fits."""
    wanted('surely-absent>=2; extra == "more"', "surely-needed")

    needed, extra = installed()

    assert (needed.command, needed.required) == ("pip install surely-needed", True)
    assert (extra.command, extra.required) == ("pip install 'cbir-bench[more]'", False)


def test_requirements_of_other_systems_are_not_missed(wanted):
    """scann has no package but for Linux."""
    wanted("surely-absent; platform_system == 'Nowhere'")

    assert installed() == []


def test_without_metadata_nothing_is_known(monkeypatch):
    """The source folder alone, on the path, names no requirements."""
    monkeypatch.setattr(requirements_module, "OURS", "surely-not-installed")
    monkeypatch.setattr(module, "_index_modules", dict)

    assert installed() == []


def test_index_libraries_are_tried(wanted):
    """Installed is not the same as working."""
    wanted("numpy>=1", modules={"numpy": ("surely_no_module",)})

    (actual,) = installed()

    assert actual.problem.startswith("import surely_no_module: ")
    assert actual.command == "pip install --force-reinstall numpy"


def test_a_library_that_works_tells_its_instructions():
    """NumPy stands for an index library."""
    problem, simd = probe("numpy")

    assert problem == ""
    assert simd["how"] == "asked"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise ImportError('no such symbol')", "no such symbol"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "signal 4"),
        ("print('noise without an end of line', end='')", ""),
    ],
)
def test_a_library_may_take_its_process_down(tmp_path, monkeypatch, source, words):
    """One compiled for another processor dies of an illegal instruction while it is imported."""
    (tmp_path / "broken_library.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    problem, _ = probe("broken_library")

    assert words in problem
    assert bool(problem) == bool(words)


def test_a_library_that_hangs_is_given_up(tmp_path, monkeypatch):
    """The checkup has to end."""
    (tmp_path / "slow_library.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    problem, _ = probe("slow_library", timeout_seconds=0.5)

    assert problem == "import slow_library did not end within 0.5 s"


def test_another_version_than_is_needed_is_a_problem(wanted):
    """Half of what is used may be missing from an old one."""
    wanted("numpy>=999")

    (actual,) = installed()

    assert actual.problem == "too old or too new, >=999 is needed"
    assert actual.command == "pip install 'numpy>=999'"


@pytest.mark.parametrize("missing", ["numpy", "packaging"])
def test_the_doctor_itself_works_without(missing):
    """What is missing most is what a doctor is asked about."""
    code = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "import importlib.metadata as m\n"
        f"real = m.distribution\n"
        f"def absent(name):\n    if name == {missing!r}: raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.distribution = absent\n"
        "from cbir_bench.doctor import installed as module\n"
        "module.probe = lambda *_: ('', None)\n"
        "print([one.name for one in module.installed() if one.problem and one.required])"
    )

    actual = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )

    assert repr(missing) in actual.stdout, actual.stderr
