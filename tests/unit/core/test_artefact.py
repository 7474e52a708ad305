"""Folders that are there in full or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cbir_bench.core import artefact
from cbir_bench.core.artefact import new_folder
from cbir_bench.core.errors import DataError


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    """A reader sees all files or none."""
    final = tmp_path / "deep" / "key"

    with new_folder(final) as folder:
        (folder / "a").write_text("1")
        assert not final.exists()

    assert (final / "a").read_text() == "1"
    assert entries(final.parent) == ["key"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    """Half an artefact under its final name would be used for ever."""

    def fail(folder: Path) -> None:
        (folder / "a").write_text("1")
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), new_folder(tmp_path / "key") as folder:
        fail(folder)

    assert entries(tmp_path) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """It is found out as late as the sync."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artefact.os, "fsync", full)

    with (
        pytest.raises(DataError, match=r"No space left on device\. Make room"),
        new_folder(tmp_path / "key") as folder,
    ):
        (folder / "a").write_text("1")

    assert entries(tmp_path) == []


def test_who_comes_second_keeps_the_first_ones_files(tmp_path: Path) -> None:
    """Two runs may freeze the same model at once; both go on."""
    with new_folder(tmp_path / "key") as slow:
        (slow / "a").write_text("second")
        with new_folder(tmp_path / "key") as fast:
            (fast / "a").write_text("first")

    assert (tmp_path / "key" / "a").read_text() == "first"
    assert entries(tmp_path) == ["key"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """For example where a file is in the way of the cache folder."""
    (tmp_path / "file").touch()

    with (
        pytest.raises(DataError, match="key cannot be written"),
        new_folder(tmp_path / "file" / "key"),
    ):
        pass


WRITER = """
import sys, time
from pathlib import Path
from cbir_bench.core.artefact import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "a").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_writers_files_are_removed_by_the_next(tmp_path: Path) -> None:
    """They are nothing that anybody could use, and may be gigabytes."""
    final = tmp_path / "key"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(final)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    (leftover,) = tmp_path.iterdir()
    old = time.time() - 3600
    os.utime(leftover, (old, old))

    with new_folder(tmp_path / "other"):
        pass
    with new_folder(final.with_name("key2")):
        pass
    assert leftover.exists()
    with pytest.raises(RuntimeError), new_folder(final):
        raise RuntimeError
    assert leftover.exists(), "its writer lives"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    os.utime(leftover, (old, old))
    with new_folder(final) as folder:
        (folder / "a").write_text("whole")

    assert not leftover.exists()
    assert (final / "a").read_text() == "whole"
