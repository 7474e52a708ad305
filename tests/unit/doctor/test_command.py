"""``cbir-bench doctor`` as users see it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from unit.doctor.findings import floor, library, machine, simd

from cbir_bench.cli import main
from cbir_bench.doctor import checkup
from cbir_bench.doctor.checkup import Checkup
from cbir_bench.doctor.machine import FEATURES, features, free_bytes
from cbir_bench.doctor.show import as_text


@pytest.fixture
def found(monkeypatch):
    """Sets what is found, without looking."""

    def find(*packages, floors=(), **spoiled):
        monkeypatch.setattr(checkup, "machine", lambda *_: machine(**spoiled))
        monkeypatch.setattr(checkup, "installed", lambda: list(packages))
        monkeypatch.setattr(checkup, "noise_floors", lambda *_: list(floors))

    return find


def run(*arguments: str):
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_warnings_leave_the_exit_code_at_0(found):
    """Scripts go on; people read."""
    found(library(), load_average=[99.0, 1.0, 1.0])

    actual = run()

    assert actual.exit_code == 0
    assert "read the advice" in actual.output


def test_a_missing_extra_is_no_failure(found):
    """Nobody needs all of them."""
    found(library(name="usearch", extra="usearch", version=None, modules=(), problem="not there"))

    assert run().exit_code == 0


def test_something_required_that_is_missing_is_exit_code_1(found):
    """Continuous integration stops there."""
    found(library(version=None, problem="not installed", command="pip install hnswlib"))

    actual = run()

    assert actual.exit_code == 1
    assert "pip install hnswlib" in actual.output
    assert "nothing can be measured" in actual.output


def test_json_holds_the_same(found):
    """For whoever keeps it beside the results."""
    found(library(), floors=[floor()], governor="powersave")

    actual = json.loads(run("--json").stdout)

    assert actual["machine"]["governor"] == "powersave"
    assert actual["packages"][0]["name"] == "hnswlib"
    assert actual["noise"][0]["wall"]["percent"] == 1.0
    assert len(actual["advice"]) == 1


def test_the_text_fits_80_columns_and_keeps_commands_whole():
    """A command that is broken over two lines cannot be copied."""
    command = "pip install --force-reinstall --no-deps --no-binary nmslib nmslib"
    one = Checkup(
        machine=machine(cpu_model="A processor with a long name " * 4),
        packages=(library(simd=simd("avx")), library(extra="more", modules=())),
        floors=(floor(),),
        advice=(f"{'Many words about it. ' * 9}Run: {command}",),
    )

    lines = as_text(one).splitlines()

    assert max(map(len, lines)) <= 80
    assert f"    {command}" in lines


def test_the_noise_is_measured_by_real_processes():
    """The whole of it once, as short as it gets."""
    actual = run("--noise", "0.1", "--json")

    noise = json.loads(actual.stdout)["noise"]
    assert actual.exit_code == 0
    assert [one["workload"] for one in noise] == ["exact search (NumPy)", "graph search (hnswlib)"]
    assert all(one["n_pairs"] >= 3 and one["wall"]["percent"] > 0 for one in noise)


def test_no_noise_is_measured_where_none_is_wanted(found):
    """For a look at the installation alone."""
    found(library(), floors=[floor()])

    assert json.loads(run("--noise", "0", "--json").stdout)["noise"] == []


def test_help_loads_nothing_heavy():
    """Help answers at once."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom cbir_bench.cli import main\n"
        "assert CliRunner().invoke(main, ['doctor', '--help']).exit_code == 0\n"
        "print(sorted({'numpy', 'packaging', 'rich', 'torch'} & set(sys.modules)))"
    )

    actual = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert actual.strip() == "[]"


def test_every_feature_that_is_looked_for_has_a_reason():
    """What is lost without it is part of the advice."""
    assert features().keys() == FEATURES.keys()


def test_a_folder_that_is_not_there_yet_has_the_disk_of_its_parents(tmp_path):
    """The first run makes it."""
    assert free_bytes(tmp_path / "a" / "b") > 0
