"""What a sweep leaves out, repeats, and goes on after, seen from the command line."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from e2e.test_plugins import PLUGIN, install, run_with
from e2e.tiny import SUITE, cbir_bench

ONE_PART = (
    SUITE.replace('[[model]]\nuse = "colour_histogram"\n', "")
    .replace('[[reranker]]\nuse = "alpha-qe"\nn = 2\n', "")
    .replace("[search]\nk = 8\n", "")
    + '\n[[protocol]]\nuse = "full-base"\n'
)
SEARCH = "\n[search]\nk = 8\n"


def records(place):
    return [json.loads(p.read_text()) for p in (place / "results/tiny/records").glob("*.json")]


def by_option(place, use, option):
    """Return the records of one index by the value of one of its options."""
    found = [r for r in records(place) if r["trial"]["index"]["use"] == use]
    return {r["trial"]["index"][option]: r for r in found}


def crashing(site):
    """Install an index that dies in the search that one of its options names."""
    install(site, "moody", "moody = moody:ListIndex")
    source = PLUGIN.replace("SEARCH_PARAMS: ClassVar = frozenset()", 'SEARCH_PARAMS = {"flavour"}')
    source = source.replace("    SEARCH_PARAMS = ", "    SEARCH_PARAMS: ClassVar = ")
    source = source.replace(
        "        return lambda query: np.argsort",
        "        import os\n        if self.flavour == 2:\n            os.abort()\n"
        "        return lambda query: np.argsort",
    )
    (site / "moody.py").write_text(source)


def test_a_crash_costs_the_setting_that_crashed_and_no_other(place):
    """The rest of the build gets another worker, and the numbers that it deserves."""
    crashing(place / "site")
    suite = ONE_PART.replace('use = "exact"', 'use = "moody"\nflavour = [1, 2, 3]')
    (place / "tiny.toml").write_text(suite + SEARCH)

    actual = run_with(place / "site", place)

    found = by_option(place, "moody", "flavour")
    assert actual.returncode == 0, actual.stderr
    assert {flavour: r["status"] for flavour, r in found.items()} == {
        1: "ok",
        2: "crashed",
        3: "ok",
    }
    assert "SIGABRT" in found[2]["reason"]
    assert found[1]["metrics"]["ap"] == found[3]["metrics"]["ap"]


STOP = """
[search.stop_at]
knn_recall = 1.0
"""


def test_settings_dearer_than_one_that_finds_everything_are_left_out(place):
    """They can only be slower; the report must not look as if they had been forgotten."""
    suite = ONE_PART.replace("ef_search = [16, 32]", "ef_search = [64, 16, 32, 128]")
    (place / "tiny.toml").write_text(suite + SEARCH + STOP)

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    found = by_option(place, "hnswlib", "ef_search")
    assert actual.returncode == 0, actual.stderr
    statuses = [found[ef]["status"] for ef in (16, 32, 64, 128)]
    first = statuses.index("ok")
    assert found[16]["metrics"]["knn_recall@5"]["mean"] == 1.0
    assert statuses == ["ok", "skipped", "skipped", "skipped"], first
    assert "stop_at knn_recall = 1" in found[128]["reason"]
    assert "3 trials left out" in actual.stdout
    assert "no result" not in actual.stdout


def test_what_was_left_out_is_measured_once_it_is_wanted(place):
    """Whoever takes stop_at out of the suite wants to see the rest, and nothing twice."""
    (place / "tiny.toml").write_text(ONE_PART + SEARCH + STOP)
    first = cbir_bench(place, "run", "tiny.toml", "--no-report")
    again = cbir_bench(place, "run", "tiny.toml", "--no-report")
    (place / "tiny.toml").write_text(ONE_PART + SEARCH)
    without = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert "3 trials measured, 0 kept" in first.stdout, first.stderr
    assert "0 trials measured, 3 kept" in again.stdout
    assert "1 trial left out" in again.stdout
    assert "1 trials measured, 3 kept" in without.stdout
    assert {r["status"] for r in records(place)} == {"ok"}


def test_settings_dearer_than_one_that_takes_too_long_are_left_out(place):
    """A budget of a microsecond is over with the first setting."""
    stop = STOP.replace("knn_recall = 1.0", "latency_us = 0.001")
    (place / "tiny.toml").write_text(ONE_PART + SEARCH + stop)

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    found = by_option(place, "hnswlib", "ef_search")
    assert actual.returncode == 0, actual.stderr
    assert [found[ef]["status"] for ef in (16, 32)] == ["ok", "skipped"]
    assert "stop_at latency_us = 0.001" in found[32]["reason"]


def test_a_stop_that_no_metric_tells_is_refused(place):
    """It would never stop anything."""
    suite = ONE_PART.replace(', "knn_recall@5"', "")
    (place / "tiny.toml").write_text(suite + SEARCH + STOP)

    actual = cbir_bench(place, "plan", "tiny.toml")

    assert actual.returncode == 2
    assert 'Add "knn_recall@10"' in actual.stderr


def test_an_index_that_does_not_repeat_itself_is_built_several_times(place):
    """With two threads hnswlib's graph is another one each time; exact search is not built again."""
    search = SEARCH + "replicates = 3\nn_threads = [1, 2]\n"
    (place / "tiny.toml").write_text(ONE_PART + search)

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 0, actual.stderr
    found = [
        (r["trial"]["index"]["use"], r["trial"]["n_threads"], r["trial"].get("replicate", 0))
        for r in records(place)
        if r["trial"]["index"].get("ef_search") != 32
    ]
    assert sorted(found) == [
        ("exact", 1, 0),
        ("exact", 2, 0),
        ("faiss", 1, 0),
        ("faiss", 2, 0),
        ("hnswlib", 1, 0),
        *(("hnswlib", 2, replicate) for replicate in range(3)),
    ]
    builds = {r["build"]["build_key"] for r in records(place)}
    assert len(builds) == 8


def test_batches_and_clients_are_in_the_record(place):
    """As the suite asks for them, with their samples."""
    extra = 'batch_sizes = [1, 4]\nclients = [1, 2]\nclients_as = ["threads", "processes"]\n'
    (place / "tiny.toml").write_text(
        ONE_PART.replace("n_warmup = 2\n", f"n_warmup = 2\n{extra}") + SEARCH
    )

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 0, actual.stderr
    for record in records(place):
        assert [batch["batch_size"] for batch in record["batches"]] == [1, 4]
        assert [(load["kind"], load["clients"]) for load in record["loads"]] == [
            (kind, n) for kind in ("threads", "processes") for n in (1, 2)
        ]
        assert record["quiet"]["lost"]
        assert record["build"]["loads_identically"] is True
        assert record["latency"]["p50_us"] <= record["latency"]["p999_us"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch_sizes = [0]", "greater than or equal to 1"),
        ("batch_sizes = []", "at least 1"),
        ('clients_as = ["fibres"]', "'threads' or 'processes'"),
        ("n_passes = [1, 2]", "no axis"),
    ],
)
def test_wrong_ways_to_measure_are_refused(place, line, words):
    """With the line of the suite file."""
    suite = ONE_PART.replace("n_passes = 2", line)
    (place / "tiny.toml").write_text(suite + SEARCH)

    actual = cbir_bench(place, "plan", "tiny.toml")

    assert actual.returncode == 2
    assert words in actual.stderr
    assert "Traceback" not in actual.stderr


VECTORS = """
name = "tiny"
metrics = ["hit_rate@1", "knn_recall@5"]
[[dataset]]
use = "vectors"
file = "v.npz"
[[model]]
use = "given_vectors"
file = "v.npz"
[[protocol]]
use = "query-set"
[[index]]
use = "exact"
[[index]]
use = "faiss"
factory = ["IVF4,Flat", "HNSW8", "PQ4np"]
[[index]]
use = "hnswlib"
[[index]]
use = "annoy"
[[index]]
use = "nmslib"
[[index]]
use = "scann"
leaves = 8
leaves_to_search = 8
reorder = 60
[[index]]
use = "faiss-binary"
[search]
k = 10
space = ["cosine", "l2", "ip"]
[measure]
n_latency_queries = 5
n_passes = 1
check_saved = false
"""


def save_vectors(place, vectors):
    n = len(vectors)
    np.savez(
        place / "v.npz",
        ids=np.array([f"item{i}" for i in range(n)]),
        label=np.array([f"class{i % 20}" for i in range(n)]),
        vectors=vectors.astype(np.float32),
    )
    (place / "tiny.toml").write_text(VECTORS)


@pytest.mark.parametrize("kind", ["constant", "duplicates"])
def test_vectors_that_cannot_be_told_apart_are_measured(place, kind):
    """Every library answers; all items are as near as each other, so nothing is missed."""
    drawn = np.random.default_rng(0).standard_normal((20, 8))
    save_vectors(place, np.ones((400, 8)) if kind == "constant" else drawn[np.arange(400) % 20])

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 0, actual.stderr
    assert "25 trials measured" in actual.stdout
    assert "2 trials left out" in actual.stdout
    assert "faiss-binary does not search by" in actual.stdout
    recalls = [
        r["metrics"]["knn_recall@5"]["mean"]
        for r in records(place)
        if r["status"] == "ok" and r["trial"]["index"]["use"] == "exact"
    ]
    assert recalls == [1.0] * 3


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "NaN"), (np.inf, "infinity"), (0.0, "only zeros")]
)
def test_vectors_that_cannot_be_searched_stop_the_run_with_their_ids(place, value, words):
    """Libraries would take them without a word, or crash."""
    vectors = np.random.default_rng(0).standard_normal((400, 8))
    vectors[7] = value
    save_vectors(place, vectors)

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 2
    assert words in actual.stderr
    assert "'item7'" in actual.stderr
    assert "Traceback" not in actual.stderr


def test_vectors_too_long_for_products_fail_where_their_length_counts(place):
    """Cosine does not mind; elsewhere no library can add them up, which is a reason and no crash."""
    save_vectors(place, 1e30 * np.random.default_rng(0).standard_normal((400, 8)))

    actual = cbir_bench(place, "run", "tiny.toml", "--no-report")

    assert actual.returncode == 0, actual.stderr
    status = {(r["trial"]["space"], r["status"]) for r in records(place)}
    assert status == {
        ("cosine", "ok"),
        ("l2", "failed"),
        ("l2", "skipped"),
        ("ip", "failed"),
        ("ip", "skipped"),
    }
    assert "overflow float32 products" in actual.stdout


def test_the_second_run_waits_for_the_first(place):
    """Two measurements at once would measure each other."""
    import fcntl

    lock = (place / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    from e2e.tiny import command, environment

    run = subprocess.Popen(
        command("run", "tiny.toml", "--no-report"),
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for line in run.stdout:
        said.append(line)
        if "Another measurement is running" in line:
            assert not list((place / "results/tiny").glob("records/*.json"))
            lock.close()
    run.stdout.close()

    assert run.wait() == 0
    assert any("Another measurement is running" in line for line in said)
