"""kill -9 at any moment: a record is whole or it is not there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cbir_bench.records.store import RecordStore

WRITER = f"""
import sys; from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from unit.report.synthetic import Point, record_of
from cbir_bench.records.store import RecordStore
import pyarrow.parquet
store = RecordStore(Path(sys.argv[1]))
print("ready", flush=True)
for k in range(10, 10_000):
    store.write(record_of(Point(k=k), arrays=True))
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_never_leaves_a_wrong_record(tmp_path: Path, seed: int) -> None:
    """Every record that is listed reads back with the arrays that were written with it."""
    store = RecordStore(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        while not len(store):
            time.sleep(0.002)
        time.sleep(random.Random(seed).uniform(0, 0.08))
        writer.kill()

    records = [store.read(trial_id, arrays=True) for trial_id in store.ids()]

    assert records
    for record in records:
        assert store.has(record.trial.id)
        recall = record.arrays["knn_recall@10"]
        assert len(recall) == record.n_queries
        assert np.isfinite(recall).all()
        assert record.arrays["latency_ns"].shape == (3, record.n_queries // 10)


def test_the_next_writer_cleans_up_and_goes_on(tmp_path: Path) -> None:
    """What the dead one left behind is in nobody's way."""
    from unit.report.synthetic import Point, record_of

    store = RecordStore(tmp_path)
    store.folder.mkdir(parents=True)
    record = record_of(Point(), arrays=True)
    (store.folder / f"{record.trial.id}.parquet").write_bytes(b"orphan of a writer killed half-way")
    (store.folder / f".{record.trial.id}.json.1-aa.tmp").write_bytes(b"{")

    known_before = store.has(record.trial.id)
    store.write(record)

    assert not known_before
    assert set(store.read(record.trial.id, arrays=True).arrays) == set(record.arrays)
    assert not list(store.folder.glob(".*"))


def test_nothing_is_cleaned_while_another_process_writes(tmp_path: Path) -> None:
    """A temporary file of a living writer looks like a leftover; its lock says that it is none."""
    from cbir_bench.records.atomic import _writing, remove_leftovers

    temporary = tmp_path / ".x.json.1-aa.tmp"
    temporary.write_bytes(b"half")

    with _writing(tmp_path):
        while_writing = remove_leftovers(tmp_path)
    afterwards = remove_leftovers(tmp_path)

    assert (while_writing, afterwards) == (0, 1)
    assert not temporary.exists()
