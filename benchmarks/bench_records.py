"""Writing and reading records against the plainest way to keep the same data: json.dump and np.savez.

    pytest benchmarks/bench_records.py          the four timings, by pytest-benchmark
    python benchmarks/bench_records.py          the ratios, medians of interleaved rounds

Both ways keep 500 records of 1,000 queries. The plain way neither syncs to disk nor renames, checks
nothing when it reads, and a killed writer leaves torn files. The ratio says what that safety costs.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from unit.report.synthetic import Point, record_of

from cbir_bench.records.codec import to_json
from cbir_bench.records.store import RecordStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.core.record import Record

N_RECORDS = 500
N_ROUNDS = 5


def make_records() -> list[Record]:
    return [record_of(Point(k=k), arrays=True) for k in range(10, 10 + N_RECORDS)]


def write(folder: Path, records: list[Record]) -> None:
    store = RecordStore(folder)
    for record in records:
        store.write(record)


def read(folder: Path) -> int:
    store = RecordStore(folder)
    return sum(len(store.read(trial_id, arrays=True).arrays) for trial_id in store.ids())


def write_plainly(folder: Path, records: list[Record]) -> None:
    (folder / "records").mkdir(parents=True)
    for record in records:
        path = folder / "records" / record.trial.id
        with path.with_suffix(".json").open("w") as file:
            json.dump(to_json(record), file)
        np.savez(path.with_suffix(".npz"), **record.arrays)


def read_plainly(folder: Path) -> int:
    n_arrays = 0
    for path in sorted((folder / "records").glob("*.json")):
        json.loads(path.read_bytes())
        with np.load(path.with_suffix(".npz")) as arrays:
            n_arrays += len({name: arrays[name] for name in arrays.files})
    return n_arrays


WAYS = {"records": (write, read), "plain": (write_plainly, read_plainly)}


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return make_records()


@pytest.mark.parametrize("way", WAYS)
def test_write(benchmark, tmp_path: Path, records: list[Record], way: str) -> None:
    folders = (tmp_path / str(i) for i in range(100))
    benchmark.pedantic(
        WAYS[way][0], setup=lambda: ((next(folders), records), {}), rounds=3, warmup_rounds=1
    )


@pytest.mark.parametrize("way", WAYS)
def test_read(benchmark, tmp_path: Path, records: list[Record], way: str) -> None:
    writer, reader = WAYS[way]
    writer(tmp_path / "run", records)

    n_arrays = benchmark.pedantic(reader, (tmp_path / "run",), rounds=3, warmup_rounds=1)

    assert n_arrays == sum(len(record.arrays) for record in records)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    made = make_records()
    times: dict[tuple[str, str], list[float]] = {}
    sizes = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(N_ROUNDS + 1):
            for way, (writer, reader) in WAYS.items():
                folder = Path(name) / f"{way}-{number}"
                spent = {
                    "write": seconds(lambda w=writer, f=folder: w(f, made)),
                    "read": seconds(lambda r=reader, f=folder: r(f)),
                }
                sizes[way] = sum(path.stat().st_size for path in folder.rglob("*.*"))
                shutil.rmtree(folder)
                for what, spent_seconds in spent.items():
                    if number:  # the first round warms up
                        times.setdefault((what, way), []).append(spent_seconds)
    for what in ("write", "read"):
        ours, plain = (statistics.median(times[what, way]) for way in WAYS)
        each = 1e3 * ours / N_RECORDS
        print(f"{what}: {ours / plain:.2f} times json.dump + np.savez ({each:.2f} ms a record)")
    print(f"size: {sizes['records'] / sizes['plain']:.2f} times")


if __name__ == "__main__":
    main()
