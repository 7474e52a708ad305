"""The promises of the store: what was written is read, and nothing wrong ever is."""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from unit.report.synthetic import EXACT, Point, changed, failed, record_of

from cbir_bench.core.component import Setting
from cbir_bench.core.errors import RecordError
from cbir_bench.core.record import MetricValue, Record
from cbir_bench.records.store import RecordStore


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


@pytest.fixture
def record() -> Record:
    return record_of(Point(), arrays=True)


def files_of(store: RecordStore) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


def rewrite(store: RecordStore, trial_id: str, **changes: object) -> None:
    path = store.folder / f"{trial_id}.json"
    table = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps(table), encoding="utf-8")


def test_what_is_written_is_read(store: RecordStore, record: Record) -> None:
    """A record is the only trace of a measurement: every field comes back."""
    store.write(record)

    actual = store.read(record.trial.id)

    names = [name for name in Record.__dataclass_fields__ if name != "arrays"]
    assert [getattr(actual, name) for name in names] == [getattr(record, name) for name in names]
    assert actual.trial.labels() == record.trial.labels()
    assert actual.arrays == {}


def test_arrays_come_back_to_the_bit(store: RecordStore, record: Record) -> None:
    """Tests of significance are done on these columns."""
    store.write(record)

    actual = store.read(record.trial.id, arrays=True).arrays

    assert actual.keys() == record.arrays.keys()
    for name, array in record.arrays.items():
        assert actual[name].dtype == array.dtype, name
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


@pytest.mark.parametrize("n_queries", [1, 2, 1000])
@pytest.mark.parametrize("share", [0, 1])
def test_a_latency_sample_of_no_query_or_all(
    store: RecordStore, n_queries: int, share: int
) -> None:
    """Nulls mark the queries without a sample; none and all are the ends."""
    rows = np.arange(n_queries * share)
    arrays = {
        "mrr": np.full(n_queries, np.nan),
        "latency_ns": np.arange(3 * len(rows)).reshape(3, -1),
        "latency_queries": rows,
    }
    record = changed(record_of(Point()), n_queries=n_queries, arrays=arrays)
    store.write(record)

    actual = store.read(record.trial.id, arrays=True).arrays

    np.testing.assert_array_equal(actual["latency_queries"], rows)
    np.testing.assert_array_equal(actual["mrr"], arrays["mrr"])
    assert actual["latency_ns"].size == 3 * len(rows)
    if share:
        np.testing.assert_array_equal(actual["latency_ns"], arrays["latency_ns"])


def test_metrics_keep_the_order_of_the_suite(store: RecordStore, record: Record) -> None:
    """Tables show metrics in the order that the user wrote, though JSON keys are sorted."""
    store.write(record)

    actual = list(store.read(record.trial.id).metrics)

    assert actual == list(record.trial.metrics)
    assert actual != sorted(actual)


def test_json_has_sorted_keys_and_no_nan(store: RecordStore, record: Record) -> None:
    """NaN is no JSON: other programs refuse the whole file."""
    odd = {
        "ap": MetricValue(mean=math.nan),
        "mrr": MetricValue(mean=np.float32(0.5), low=-math.inf),
    }
    store.write(changed(record, metrics=odd, batch_qps=math.inf))

    text = (store.folder / f"{record.trial.id}.json").read_text(encoding="utf-8")

    table = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert list(table) == sorted(table)
    assert table["metrics"]["ap"]["mean"] is None
    assert table["metrics"]["mrr"] == {**table["metrics"]["mrr"], "mean": 0.5, "low": None}
    assert table["batch_qps"] is None


def test_a_file_name_that_is_no_utf8_survives(store: RecordStore) -> None:
    """Linux file names are bytes; Python hands odd ones on as lone surrogates."""
    record = failed(Point(), "failed", "cannot read caf\udce9.jpg, Bücher.jpg")
    store.write(record)

    assert store.read(record.trial.id).reason == record.reason


def test_a_failure_has_no_parquet_file(store: RecordStore) -> None:
    """There is nothing to keep per query."""
    record = failed(Point(), "timeout", "It took longer than 60 s.")
    store.write(record)

    assert files_of(store) == {f"{record.trial.id}.json"}
    assert store.read(record.trial.id, arrays=True).arrays == {}


def test_a_failure_can_be_tried_again_and_a_measurement_never(
    store: RecordStore, record: Record
) -> None:
    """Records are append-only; only what was never measured can be measured."""
    store.write(failed(Point(), "crashed", "Signal 11."))
    store.write(record)

    with pytest.raises(RecordError, match="records never change"):
        store.write(record)
    assert store.read(record.trial.id).status == "ok"


def test_ids_iteration_and_length_agree(store: RecordStore) -> None:
    """Everything that lists a run goes through these."""
    records = [record_of(Point(value=value)) for value in range(3)]
    for one in records:
        store.write(one)
    (store.folder / "notes.json").write_text("{}")

    assert store.ids() == tuple(sorted(one.trial.id for one in records))
    assert [one.trial.id for one in store] == list(store.ids())
    assert len(store) == 3


def test_reading_a_run_that_never_began_makes_no_folder(store: RecordStore) -> None:
    """A report of a wrong folder must not litter it."""
    assert store.ids() == ()
    assert not store.has("0" * 16)
    with pytest.raises(RecordError, match="no readable record"):
        store.read("0" * 16)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b'{"schema_version": 2, "trial', "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[1, 2]", "is no record"),
        (b"{}", "is no record"),
        (b'{"schema_version": 1}', "schema version 1, this program reads 2"),
        (b'{"schema_version": 2, "trial_id": "abc"}', "holds the record of trial abc"),
    ],
)
def test_a_foreign_or_torn_json_file_is_named(
    store: RecordStore, record: Record, content: bytes, message: str
) -> None:
    """A sentence with the file's name, never a traceback, and never a made-up record."""
    store.write(record)
    (store.folder / f"{record.trial.id}.json").write_bytes(content)

    for look in (store.read, store.has):
        with pytest.raises(RecordError, match=message) as raised:
            look(record.trial.id)
        assert record.trial.id in str(raised.value)


def test_a_missing_or_unknown_field_is_refused(store: RecordStore, record: Record) -> None:
    """A half-understood record would give numbers without their meaning."""
    trial_id = record.trial.id
    store.write(record)
    latency = json.loads((store.folder / f"{trial_id}.json").read_bytes())["latency"]

    for change in ({"latency": {**latency, "p42_us": 1}}, {"metrics": {"ap": 1}}, {"trial": {}}):
        rewrite(store, trial_id, **change)
        with pytest.raises(RecordError, match="lacks a field or has one too many"):
            store.read(trial_id)


def test_a_record_whose_settings_were_edited_is_refused(store: RecordStore, record: Record) -> None:
    """The id is the hash of the settings, so an edit cannot pass for a measurement."""
    store.write(record)
    rewrite(store, record.trial.id, trial=record.trial.to_json() | {"k": 7})

    with pytest.raises(RecordError, match="was changed"):
        store.read(record.trial.id)


@pytest.mark.parametrize("damage", ["gone", "cut", "swapped"])
def test_a_parquet_file_that_is_not_the_one_written_is_refused(
    store: RecordStore, record: Record, damage: str
) -> None:
    """The JSON file holds its SHA-256: a copied, cut or lost file cannot pass."""
    store.write(record)
    path = store.folder / f"{record.trial.id}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "swapped" else content[:-100])

    with pytest.raises(RecordError, match="Delete both to measure the trial again"):
        store.read(record.trial.id, arrays=True)
    if damage != "swapped":
        with pytest.raises(RecordError, match="Delete both"):
            store.has(record.trial.id)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mrr": np.zeros(7)}, r"'mrr' has shape \(7,\), but there are 1000 queries"),
        ({"mrr": np.zeros((1000, 2, 2))}, "has shape"),
        ({"latency_ns": np.zeros((3, 5), np.int64)}, "must name the query"),
        ({"latency_ns": np.zeros((3, 2)), "latency_queries": np.array([5, 2])}, "ascending rows"),
        ({"latency_ns": np.zeros((3, 2)), "latency_queries": np.array([5, 5])}, "ascending rows"),
        ({"latency_ns": np.zeros((3, 1)), "latency_queries": np.array([1000])}, "below 1000"),
        ({"latency_ns": np.zeros((3, 1)), "latency_queries": np.array([-1])}, "ascending rows"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_anything_is_written(
    store: RecordStore, record: Record, arrays: dict[str, np.ndarray], message: str
) -> None:
    """A wrong shape is the writer's mistake and must not become a file."""
    with pytest.raises(RecordError, match=message):
        store.write(changed(record, arrays=arrays))

    assert files_of(store) == set()


@pytest.mark.parametrize("failing_call", [1, 2])
def test_a_full_disk_leaves_nothing_half_written(
    store: RecordStore, record: Record, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    """Whichever of the two files does not fit: one sentence, no file, the next attempt works."""
    calls = 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2 * failing_call - 1:  # each file syncs itself, then its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RecordError, match="No space left on device") as raised:
            store.write(record)
    left = files_of(store)
    store.write(record)

    assert "Make room" in str(raised.value)
    assert left == set()
    assert store.has(record.trial.id)


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    """The same with the kernel's own refusal in the middle of a file."""
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from unit.report.synthetic import Point, record_of\n"
        "from cbir_bench.core.errors import RecordError\n"
        "from cbir_bench.records.store import RecordStore\n"
        "try: RecordStore(Path(sys.argv[1])).write(record_of(Point(), arrays=True))\n"
        "except RecordError as error: print(error)\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=True,
    )

    assert "File too large" in done.stdout
    assert list((tmp_path / "records").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, record: Record) -> None:
    """A file where the folder should be is the simplest case of it."""
    (tmp_path / "records").write_text("in the way")

    with pytest.raises(RecordError, match="cannot be written"):
        RecordStore(tmp_path).write(record)


def test_leftovers_of_killed_writers_are_ignored_and_cleaned(
    store: RecordStore, record: Record
) -> None:
    """They are no records, and they must not fill the disk for ever."""
    store.folder.mkdir()
    leftover = store.folder / f".{record.trial.id}.json.123-abcd.tmp"
    leftover.write_bytes(b"half")

    before = store.ids()
    still_there = leftover.exists()
    store.write(record)

    assert before == ()
    assert still_there
    assert files_of(store) == {f"{record.trial.id}.json", f"{record.trial.id}.parquet"}


def test_equal_records_give_equal_bytes(tmp_path: Path, record: Record) -> None:
    """Baselines are compared by content, and diffs show what changed only."""
    for name in ("a", "b"):
        RecordStore(tmp_path / name).write(record)

    for kind in ("json", "parquet"):
        one, two = ((tmp_path / n / "records" / f"{record.trial.id}.{kind}") for n in ("a", "b"))
        assert one.read_bytes() == two.read_bytes()


def test_a_label_is_no_part_of_the_id(store: RecordStore) -> None:
    """A renamed axis is the same measurement."""
    record = record_of(Point(sweep=EXACT))
    renamed = Setting(use="timm", options=record.trial.model.options, label="other")
    store.write(record)

    assert store.has(changed(record.trial, model=renamed).id)
