"""Readers in other processes: what they send, how they fail, and that none is left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from unit.embeddings.numbered import (
    Model,
    Numbered,
    as_lists,
    dataset,
    lacks_an_extra,
    needs_a_package,
)

from cbir_bench.core.errors import DataError, MissingPackageError, SettingError
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.processes import ReaderProcesses
from cbir_bench.embeddings.readers import Readers
from cbir_bench.embeddings.store import EmbeddingStore

N = 40


def children():
    """Return the processes that this one has started and that have not ended."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(one) for one in found if alive(one)]


def alive(process):
    """Return whether a process runs; one that has ended and is waited for does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def read_all(images, prepare=Model.prepare, n=2):
    """Return everything that two processes make of the images, in batches of five."""
    batches = np.split(np.arange(N), N // 5)
    return list(Readers(n=n, kind="processes").prepared(dataset(N, images), prepare, batches))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_batches_come_in_their_order(n):
    """Vectors are matched to images by their order alone."""
    actual = read_all(Numbered(), n=n)

    assert np.concatenate(actual).tolist() == list(range(N))


def test_whatever_is_prepared_arrives_as_it_was():
    """Layouts decide which kernels a network uses, and so its last bits."""
    actual = [one for batch in read_all(Numbered(), as_lists) for one in batch]

    expected = as_lists(Numbered().read(range(N)))
    assert [one["row"] for one in actual] == list(range(N))
    for name in ("turned", "part", "none", "columns"):
        np.testing.assert_array_equal(actual[7][name], expected[7][name])
    assert actual[7]["turned"].strides == expected[7]["turned"].strides
    assert actual[7]["columns"].flags.f_contiguous


@pytest.mark.parametrize(("kind", "n"), [("threads", 3), ("processes", 1), ("processes", 3)])
def test_vectors_do_not_depend_on_the_readers(tmp_path, kind, n):
    """They are no part of the key."""
    hashes = [
        freeze(
            EmbeddingStore(tmp_path / str(place)),
            "key",
            dataset(N),
            Model(3),
            np.arange(N),
            {},
            batch_size=3,
            readers=readers,
        ).sha256
        for place, readers in enumerate([Readers(n=1), Readers(n=n, kind=kind)])
    ]

    assert hashes[0] == hashes[1]


def test_a_reader_that_is_killed_names_its_image():
    """A decoder may crash, or the kernel may take the memory back."""
    others = children()  # of libraries that other tests have loaded

    with pytest.raises(
        DataError, match=r"'numbers' ended \(SIGKILL\) while it read the image 'image12'"
    ):
        read_all(Numbered(deadly=12))

    assert set(children()) <= set(others)


def test_a_package_that_is_missing_is_told_by_name():
    """The command line says what to install."""
    with pytest.raises(ModuleNotFoundError) as caught:
        read_all(Numbered(), needs_a_package)

    assert caught.value.name == "surely_not_installed"


def test_errors_of_ours_arrive_whatever_they_are_made_of():
    """Python cannot copy an error whose constructor takes other arguments."""
    with pytest.raises(MissingPackageError, match=r"pip install 'cbir-bench\[sift\]'"):
        read_all(Numbered(), lacks_an_extra)


def test_what_cannot_be_sent_is_refused():
    """A data set of somebody's own may hold an open file."""
    with pytest.raises(SettingError, match="Choose threads"):
        ReaderProcesses(1, dataset(N), lambda images: images)


def test_a_class_that_cannot_be_imported_is_refused(monkeypatch):
    """It may be defined in the program itself, which other processes do not run."""
    monkeypatch.setattr(Numbered, "__module__", "__main__")
    monkeypatch.setattr("__main__.Numbered", Numbered, raising=False)

    with pytest.raises(SettingError, match="in a module that can be imported, or choose threads"):
        read_all(Numbered())


def test_stopping_early_leaves_no_process():
    """An error of the model must not leave readers behind."""
    others = children()
    batches = Readers(n=2, kind="processes").prepared(
        dataset(N, Numbered(seconds=0.01)), Model.prepare, np.split(np.arange(N), 8)
    )

    next(batches)
    readers = set(children()) - set(others)
    batches.close()

    assert len(readers) == 2
    assert readers.isdisjoint(children())


@pytest.mark.parametrize("options", [{"n": 0}, {"n": -1}, {"kind": "process"}])
def test_readers_that_cannot_be_are_refused(options):
    """The command line passes them as they were written."""
    with pytest.raises(SettingError):
        Readers(**options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_however_the_run_ends_no_reader_is_left(freezing, tmp_path, number):
    """Readers that go on would slow down whatever is measured next."""
    log = tmp_path / "log"
    process = freezing("--log", log, "--seconds", 0.01, "--kind", "processes", "--n", 2000)
    deadline = time.monotonic() + 60
    while (
        len({line.split()[1] for line in log.read_text().splitlines()} if log.exists() else ()) < 2
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    readers = {
        int(line.split()[1]) for line in log.read_text().splitlines() if len(line.split()) == 2
    }

    if number == signal.SIGINT:  # from the keyboard it reaches all of them
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=30)

    while any(map(alive, readers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid not in readers
    assert err.count("Traceback") == (1 if number == signal.SIGINT else 0)
