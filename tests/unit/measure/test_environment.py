"""The description of the machine: processor, control groups, load, where packages come from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cbir_bench.measure import cgroup, cpu, load, provenance
from cbir_bench.measure.environment import environment

V2 = {"memory.max": "max", "cpu.max": "max 100000"}


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A writer of control groups: the text of /proc/self/cgroup, then files by path."""

    def write(mine: str, files: dict[str, str]):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(f"{text}\n")
        (tmp_path / "mine").write_text(mine)
        monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
        monkeypatch.setattr(cgroup, "_MINE", tmp_path / "mine")

    return write


def test_the_limits_of_version_2_are_read(groups):
    """A container with one and a half cores is slower than its eight visible cores say."""
    groups(
        "0::/box\n",
        {
            "box/memory.max": "1000000",
            "box/cpu.max": "150000 100000",
            "box/cpuset.cpus.effective": "0-3",
        },
    )

    actual = cgroup.cgroup_limits()

    assert actual == {"memory_limit_bytes": 1_000_000, "cpu_limit_cores": 1.5, "cpuset": "0-3"}


def test_the_limits_of_version_1_are_read(groups):
    """Older systems keep each controller in a folder of its own."""
    groups(
        "4:memory:/box\n2:cpu,cpuacct:/box\n3:cpuset:/box\n0::/\n",
        {
            "memory/box/memory.limit_in_bytes": "2000000",
            "cpu/box/cpu.cfs_quota_us": "50000",
            "cpu/box/cpu.cfs_period_us": "100000",
            "cpuset/box/cpuset.cpus": "1",
        },
    )

    actual = cgroup.cgroup_limits()

    assert actual == {"memory_limit_bytes": 2_000_000, "cpu_limit_cores": 0.5, "cpuset": "1"}


def test_the_tightest_limit_around_the_group_counts(groups):
    """A group with a looser limit of its own still lives within that of the service."""
    groups(
        "0::/service/box\n",
        {
            "service/box/memory.max": "5000000",
            "service/box/cpu.max": "400000 100000",
            "service/memory.max": "3000000",
            "service/cpu.max": "200000 100000",
        },
    )

    assert cgroup.memory_limit_bytes() == 3_000_000
    assert cgroup.cpu_limit_cores() == 2.0


def test_a_group_that_is_mounted_as_the_root_is_read_there(groups):
    """In a container the name is the host's, while the files are at the top."""
    groups("0::/docker/0123\n", {"memory.max": "4000000"})

    assert cgroup.memory_limit_bytes() == 4_000_000


@pytest.mark.parametrize(
    "files",
    [
        {"box/memory.max": "max", "box/cpu.max": "max 100000"},
        {"memory/box/memory.limit_in_bytes": "9223372036854771712"},
        {},
    ],
)
def test_no_limit_is_none(groups, files):
    """Kernels write a word, or a huge number, where there is no limit."""
    groups("4:memory:/box\n0::/box\n", files)

    assert cgroup.memory_limit_bytes() is None
    assert cgroup.cpu_limit_cores() is None


def test_ticks_give_the_share_in_use():
    """Idle time and waiting for a disk are free, stolen time is not."""
    before = load.Ticks(busy=100, idle=300, stolen=0)
    after = load.Ticks(busy=130, idle=310, stolen=5)

    assert load.share_in_use(before, after) == 0.75


def test_the_kernels_accounts_are_read_by_their_order(tmp_path, monkeypatch):
    """user nice system idle iowait irq softirq steal guest: guest time is within user time."""
    (tmp_path / "stat").write_text("cpu  10 1 5 70 4 2 3 5 99 0\ncpu0 1 1 1 1\n")
    monkeypatch.setattr(load, "_STAT", tmp_path / "stat")

    assert load.read_ticks() == load.Ticks(busy=26, idle=74, stolen=5)
    assert load.load()["cpu_stolen"] == 0.05


def test_pressure_is_a_share(tmp_path, monkeypatch):
    """The kernel writes percent."""
    (tmp_path / "cpu").write_text("some avg10=12.50 avg60=1.00 avg300=0.10 total=5\n")
    monkeypatch.setattr(load, "_PRESSURE", tmp_path / "cpu")

    assert load.load()["cpu_waiting"] == 0.125


def test_without_accounts_the_load_is_not_known(tmp_path, monkeypatch):
    """Elsewhere than on Linux there is no /proc; a record is written all the same."""
    monkeypatch.setattr(load, "_STAT", tmp_path / "none")
    monkeypatch.setattr(load, "_PRESSURE", tmp_path / "none")

    actual = load.load()

    assert [actual[name] for name in ("cpu_in_use", "cpu_waiting", "cpu_stolen")] == [None] * 3


def test_the_first_core_is_read_and_no_other(tmp_path, monkeypatch):
    """A machine may have two kinds of cores, and hundreds of them."""
    text = (
        "model name\t: Fast\nflags\t\t: avx2 hypervisor other\n\nmodel name\t: Slow\nflags\t: sse\n"
    )
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(cpu, "_first_core", cpu._first_core.__wrapped__)

    actual = cpu.describe_cpu()

    assert (actual["cpu_model"], actual["cpu_flags"]) == ("Fast", ["avx2"])
    assert actual["hypervisor"] is True


def test_governor_and_frequency_are_those_of_an_allowed_core(tmp_path, monkeypatch):
    """powersave is why a latency cannot be repeated."""
    monkeypatch.setattr(cpu.os, "sched_getaffinity", lambda _: {3})
    monkeypatch.setattr(cpu, "_CPUS", tmp_path)
    folder = tmp_path / "cpu3" / "cpufreq"
    folder.mkdir(parents=True)
    for name, text in (("scaling_governor", "powersave"), ("cpuinfo_max_freq", "3500000")):
        (folder / name).write_text(f"{text}\n")

    actual = cpu.describe_cpu()

    assert actual["governor"] == "powersave"
    assert actual["frequency_mhz"]["max"] == 3500.0
    assert actual["frequency_mhz"]["min"] is None


def installed(folder, name: str, **files: str):
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    for file, text in files.items():
        (info / file.replace("__", ".")).write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    provenance.provenance.cache_clear()
    yield tmp_path
    provenance.provenance.cache_clear()


@pytest.mark.parametrize(
    ("tags", "compiled_here", "words"),
    [
        ("Tag: cp311-cp311-linux_x86_64\n", True, "compiled here (linux_x86_64)"),
        (
            "Tag: cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64\n",
            False,
            "prebuilt (manylinux2014_x86_64)",
        ),
        ("Tag: cp311-abi3-musllinux_1_2_aarch64\n", False, "prebuilt (musllinux_1_2_aarch64)"),
        ("Tag: py3-none-any\n", False, "pure Python"),
        ("", False, "of unknown origin"),
    ],
)
def test_the_tag_tells_who_compiled_a_package(site, tags, compiled_here, words):
    """What was compiled for all machines ignores most of this one."""
    installed(site, "surely-new", WHEEL=f"Wheel-Version: 1.0\n{tags}", INSTALLER="uv\n")

    actual = provenance.provenance("surely-new")

    assert actual.compiled_here is compiled_here
    assert str(actual) == words
    assert (actual.version, actual.installer) == ("1.2", "uv")


def test_an_editable_package_says_so(site):
    """Its version does not tell what code ran."""
    installed(site, "surely-new", direct_url__json='{"dir_info": {"editable": true}, "url": "x"}')

    assert provenance.provenance("surely-new").editable


def test_what_is_not_installed_has_no_provenance():
    """It is told apart from what has no metadata."""
    assert provenance.provenance("surely-not-installed") is None


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".git").mkdir()
    provenance.git_commit.cache_clear()
    return tmp_path


COMMIT = "0123456789" * 4


def test_the_commit_of_a_branch_is_found(checkout):
    """The usual state of a checkout."""
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (checkout / ".git" / "refs" / "heads").mkdir(parents=True)
    (checkout / ".git" / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")

    assert provenance.git_commit(checkout / "package") == COMMIT


def test_the_commit_of_a_packed_branch_is_found(checkout):
    """A fresh clone keeps its references in one file."""
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (checkout / ".git" / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")

    assert provenance.git_commit(checkout / "package") == COMMIT


def test_the_commit_of_a_linked_work_tree_is_found(checkout):
    """There ``.git`` is a file, and branches are in the main checkout."""
    (checkout / ".git").rmdir()
    main = checkout / "main" / ".git"
    (main / "worktrees" / "w").mkdir(parents=True)
    (main / "refs" / "heads").mkdir(parents=True)
    (main / "refs" / "heads" / "side").write_text(COMMIT)
    (main / "worktrees" / "w" / "HEAD").write_text("ref: refs/heads/side\n")
    (main / "worktrees" / "w" / "commondir").write_text("../..\n")
    (checkout / ".git").write_text("gitdir: main/.git/worktrees/w\n")

    assert provenance.git_commit(checkout / "package") == COMMIT


def test_an_installed_package_has_no_commit(checkout):
    """An environment may lie within a checkout of something else."""
    (checkout / "pyproject.toml").unlink()
    (checkout / ".git" / "HEAD").write_text(f"{COMMIT}\n")

    assert provenance.git_commit(checkout / "package") is None


def test_the_environment_holds_what_tells_machines_apart():
    """It is what the guard compares before it compares any time."""
    actual = environment()

    assert {
        "cpu_model", "cpu_flags", "governor", "frequency_mhz", "hypervisor", "n_numa_nodes",
        "memory_limit_bytes", "cpu_limit_cores", "cpuset", "kernel", "load_average", "cpu_in_use",
        "git_commit", "versions", "builds",
    } <= set(actual)  # fmt: skip
    assert actual["builds"].keys() == actual["versions"].keys()


def test_describing_the_environment_does_not_import_numpy():
    """It runs in every process, before anything is measured."""
    code = (
        "import sys\nfrom cbir_bench.measure.environment import environment\nenvironment()\n"
        "print('numpy' in sys.modules)"
    )

    actual = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert actual.strip() == "False"


def test_numpy_is_told_as_installed():
    """Versions come from metadata, and are those of the modules all the same."""
    assert environment(["numpy"])["versions"] == {"numpy": np.__version__}
