"""Freezing that is stopped goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import resource
import signal
import time

import numpy as np
import pytest
from unit.embeddings.numbered import Model, Numbered, dataset, rows_read

from cbir_bench.core.errors import DataError
from cbir_bench.embeddings import partial
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.store import EmbeddingStore

N, BATCH = 40, 4
ROWS = np.arange(N)


@pytest.fixture(autouse=True)
def _each_batch_is_a_shard(monkeypatch):
    monkeypatch.setattr(partial, "COMMIT_SECONDS", 0)


@pytest.fixture
def expected(tmp_path):
    """The hash of the vectors that were frozen without a stop."""
    whole = EmbeddingStore(tmp_path / "whole")
    return freeze(whole, "key", dataset(N), Model(3), ROWS, {}, batch_size=BATCH).sha256


@pytest.fixture
def log(tmp_path):
    """Where the rows that were read are listed."""
    return tmp_path / "log"


def go_on(store, log, *, batch_size=BATCH, **options):
    data = dataset(N, Numbered(log))
    return freeze(store, "key", data, Model(3), ROWS, {}, batch_size=batch_size, **options)


@pytest.fixture
def stopped(store):
    """The folder of work that stopped at the image 22: the five batches before it are done."""
    with pytest.raises(DataError):
        freeze(store, "key", dataset(N, Numbered(bad=22)), Model(3), ROWS, {}, batch_size=BATCH)
    return store.root / ".key.partial"


def shards(folder):
    return [json.loads(line) for line in (folder / "shards.jsonl").read_text().splitlines()]


def change_line(folder, number, **values):
    lines = [{**line, **(values if i == number else {})} for i, line in enumerate(shards(folder))]
    (folder / "shards.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_is_done_is_not_read_again(store, stopped, log, expected):
    """Hours of work would be lost for one bad image."""
    told = []

    actual = go_on(store, log, progress=lambda *n: told.append(n))

    assert told[0] == (20, N)
    assert rows_read(log) == list(range(20, N))
    assert actual.sha256 == expected


def test_seconds_are_those_of_all_attempts(store, stopped, log):
    """A model that was stopped often would look fast."""
    change_line(stopped, 0, seconds=100.0)

    actual = go_on(store, log).made_from["freeze_seconds"]

    assert 100 < actual < 110


def test_a_damaged_shard_is_computed_again_alone(store, stopped, log, expected):
    """Disks forget; what is behind a damaged shard is as good as before."""
    content = bytearray((stopped / "vectors.npy").read_bytes())
    content[128 + 5 * 12] ^= 1  # row 5
    (stopped / "vectors.npy").write_bytes(content)

    actual = go_on(store, log)

    assert rows_read(log) == [4, 5, 6, 7, *range(20, N)]
    assert actual.sha256 == expected


@pytest.mark.parametrize("n_bytes", [0, 60, 128, 128 + 12 * 17])
def test_a_file_that_is_cut_off_is_filled_up(store, stopped, log, expected, n_bytes):
    """A full disk, or a crash of the whole machine."""
    with (stopped / "vectors.npy").open("r+b") as file:
        file.truncate(n_bytes)

    actual = go_on(store, log)

    assert rows_read(log)[-20:] == list(range(20, N))
    assert actual.sha256 == expected


@pytest.mark.parametrize("torn", ['{"tag": "x", "sta', "[]", "3", "null", "\xff"])
def test_a_torn_line_costs_its_shard_only(store, stopped, log, expected, torn):
    """A kill may fall into the middle of a line."""
    path = stopped / "shards.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) + torn)

    actual = go_on(store, log)

    assert rows_read(log) == list(range(16, N))
    assert actual.sha256 == expected


@pytest.mark.parametrize(
    "values",
    [
        {"tag": "of another key"},
        {"start": 5},
        {"start": -4},
        {"stop": 8},
        {"stop": 44},
        {"stop": 6},
    ],
)
def test_a_shard_of_something_else_does_not_count(store, stopped, log, expected, values):
    """It would put vectors beside images that are not theirs."""
    change_line(stopped, 2, **values)

    actual = go_on(store, log)

    assert rows_read(log) == [*range(8, 12), *range(20, N)]
    assert actual.sha256 == expected


def test_shards_of_other_batches_do_not_count(store, stopped, log):
    """A product of matrices may differ in the last bit with their number of rows."""
    go_on(store, log, batch_size=2 * BATCH)

    assert rows_read(log) == list(range(N))


def test_a_shard_that_is_listed_twice_counts_once(store, stopped, log, expected):
    """Where a file system has no locks two processes may list the same."""
    path = stopped / "shards.jsonl"
    path.write_text(path.read_text() * 2)
    told = []

    actual = go_on(store, log, progress=lambda *n: told.append(n))

    assert told[0] == (20, N)
    assert actual.sha256 == expected


def wait_for_shards(store, n):
    path = store.root / ".key.partial" / "shards.jsonl"
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_text().count("\n") < n:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.split()


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_killed_anywhere_it_goes_on_and_ends_the_same(store, freezing, tmp_path, kind):
    """Machines that cost little are taken away without a word."""
    logs = [tmp_path / f"log{i}" for i in range(3)]
    kept = []
    for log in logs[:2]:
        process = freezing("--log", log, "--seconds", 0.004, "--kind", kind)
        wait_for_shards(store, len(kept) // 4 + 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines = shards(store.root / ".key.partial")
        kept = [row for line in lines for row in range(line["start"], line["stop"])]

    actual = ended(freezing("--log", logs[2], "--kind", kind))

    whole = EmbeddingStore(tmp_path / "whole")
    frozen = freeze(whole, "key", dataset(200), Model(3), np.arange(200), {}, batch_size=4)
    assert 40 <= len(kept) < 200
    assert rows_read(logs[2]) == sorted(set(range(200)) - set(kept))
    assert actual[0] == frozen.sha256


def test_two_processes_share_the_work_of_one(store, freezing, log):
    """Two runs of one suite at once are a mistake that costs nothing."""
    racing = [freezing("--log", log, "--seconds", 0.002) for _ in range(2)]

    hashes = [ended(process)[0] for process in racing]

    assert rows_read(log) == list(range(200))
    assert len(set(hashes)) == 1
    assert [path.name for path in store.root.iterdir()] == ["key"]


def test_whoever_waits_takes_over_from_the_killed(store, freezing, tmp_path):
    """The lock is given up by dying."""
    logs = [tmp_path / "first", tmp_path / "second"]
    first = freezing("--log", logs[0], "--seconds", 0.01)
    wait_for_shards(store, 5)
    second = freezing("--log", logs[1])
    wait_for_shards(store, 20)
    first.kill()
    first.wait()

    ended(second)

    assert rows_read(logs[1])[0] >= 80
    assert rows_read(logs[1])[-1] == 199


def test_whoever_waits_is_told_how_far_it_is(store, tmp_path):
    """A second run that shows nothing seems to hang."""
    final = store.root / "key"
    told = []
    with partial.partial_folder(final, told.append) as folder:
        work = partial.Partial(folder, (N, 3), "tag", BATCH)
        work.write(0, np.ones((BATCH, 3), np.float32))

        class EnoughError(Exception):
            """Ends the waiting."""

        def waiting(n_done):
            told.append(n_done)
            raise EnoughError

        with (
            pytest.raises(EnoughError),
            partial.partial_folder(final, waiting),
        ):
            pytest.fail("two at once")
        work.file.__exit__()

    assert told == [BATCH]


def test_a_full_disk_is_a_sentence_and_keeps_what_is_done(store, freezing, log, tmp_path):
    """Room can be made, and the work goes on."""
    limit = 128 + 12 * 50  # bytes of a file, which is as good as a full disk

    full = freezing(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, err = full.communicate(timeout=60)
    actual = ended(freezing("--log", log, "--commit-seconds", 1))

    assert "DataError" in err
    assert "cannot be written: File too large. Make room" in err
    assert rows_read(log)[0] > 0
    whole = EmbeddingStore(tmp_path / "whole")
    frozen = freeze(whole, "key", dataset(200), Model(3), np.arange(200), {}, batch_size=4)
    assert actual[0] == frozen.sha256


def test_memory_does_not_grow_with_the_images(freezing):
    """Ten million vectors of 512 numbers are 20 GB."""
    options = ("--n", 100_000, "--dim", 512, "--batch-size", 256, "--commit-seconds", 1)

    _, grown_kb = ended(freezing(*options))

    assert int(grown_kb) < 60_000  # the vectors alone are 205 MB
