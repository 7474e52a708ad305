"""A data set of ann-benchmarks in, its results out, through the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from e2e.tiny import cbir_bench, write_photos

h5py = pytest.importorskip("h5py", reason="pip install 'cbir-bench[hdf5]'")
from oracles.ann_benchmarks_reading import points  # noqa: E402

VECTORS = """
name = "vectors"
metrics = ["map_at_r", "hit_rate@1", "knn_recall@10"]
[[dataset]]
use = "ann_benchmarks"
path = "tiny-8-euclidean.hdf5"
[[model]]
use = "given_vectors"
file = "tiny-8-euclidean.hdf5"
[[protocol]]
use = "query-set"
[[index]]
use = "exact"
[[index]]
use = "hnswlib"
m = 4
ef_construction = 10
ef_search = [10, 40]
[search]
space = "l2"
k = 10
[measure]
n_latency_queries = 10
n_passes = 2
n_warmup = 2
"""

PHOTOS = """
name = "photos"
metrics = ["map_at_r"]
[[dataset]]
use = "image_folder"
root = "photos"
[[model]]
use = "pixels"
[[index]]
use = "exact"
[[reranker]]
use = "none"
[[reranker]]
use = "alpha-qe"
n = 2
[search]
k = 12
[measure]
n_latency_queries = 5
n_passes = 1
"""


def write_vectors(path) -> None:
    random = np.random.default_rng(0)
    base = random.standard_normal((400, 8)).astype(np.float32)
    queries = random.standard_normal((30, 8)).astype(np.float32)
    distances = np.sqrt(((queries[:, None].astype(float) - base[None]) ** 2).sum(-1))
    order = np.argsort(distances, axis=1)[:, :100]
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"], file["neighbors"] = base, queries, order
        file["distances"] = np.take_along_axis(distances, order, 1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder in which the suite of vectors has been run."""
    place = tmp_path_factory.mktemp("vectors")
    write_vectors(place / "tiny-8-euclidean.hdf5")
    (place / "s.toml").write_text(VECTORS)
    done = cbir_bench(place, "run", "s.toml")
    assert done.returncode == 0, done.stderr
    return place


def export(place, run: str, *options: str):
    return cbir_bench(
        place, "export", f"results/{run}", "--format", "ann-benchmarks", "--out", "ann",
        "--data-dir", ".", *options,
    )  # fmt: skip


def records(place, run: str) -> list[dict]:
    folder = place / "results" / run / "records"
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]


def test_vectors_without_labels_are_measured(measured):
    """knn_recall and costs need no label; metrics that do say why they have no value."""
    actual = records(measured, "vectors")

    assert len(actual) == 3
    for record in actual:
        metrics = record["metrics"]
        assert record["status"] == "ok"
        assert metrics["knn_recall@10"]["mean"] > 0.5
        assert metrics["hit_rate@1"]["mean"] is None
        assert metrics["hit_rate@1"]["undefined"]
        assert metrics["map_at_r"]["undefined"]


def test_the_plots_of_ann_benchmarks_draw_them(measured):
    """Their recall is our knn_recall, up to their absolute tolerance."""
    done = export(measured, "vectors")

    assert done.returncode == 0, done.stderr
    drawn = points(measured / "ann", "tiny-8-euclidean", 10)
    by_trial = {p.properties["cbir_bench_trial"]: p for ps in drawn.values() for p in ps}
    assert {name: len(ps) for name, ps in drawn.items()} == {"exact": 1, "hnswlib": 2}
    for record in records(measured, "vectors"):
        actual = by_trial[record["trial_id"]]
        ours = record["metrics"]["knn_recall@10"]["mean"]
        assert actual.recall == pytest.approx(ours, abs=0.02)
        assert actual.recall >= ours - 1e-9
        assert actual.queries_per_second == pytest.approx(record["latency"]["qps"])
        assert actual.p50_ms == pytest.approx(record["latency"]["p50_us"] / 1000, rel=1e-4)
        once = record["build"]["build_seconds"] + record["prepare_seconds"]
        assert actual.build == pytest.approx(once)


def test_the_data_set_that_is_exported_is_the_one_that_was_read(measured):
    """So that it can be measured by others."""
    export(measured, "vectors")

    with (
        h5py.File(measured / "tiny-8-euclidean.hdf5") as given,
        h5py.File(measured / "ann" / "data" / "tiny-8-euclidean.hdf5") as actual,
    ):
        assert actual.attrs["distance"] == "euclidean"
        np.testing.assert_array_equal(actual["train"], given["train"])
        np.testing.assert_array_equal(actual["test"], given["test"])
        np.testing.assert_array_equal(actual["neighbors"], given["neighbors"])
        np.testing.assert_allclose(actual["distances"], given["distances"], rtol=1e-6)


def test_vectors_that_are_gone_are_a_sentence(measured):
    """Ids alone tell no distances."""
    actual = export(measured, "vectors", "--cache", "another")

    assert actual.returncode == 2
    assert "in no cache any more" in actual.stderr
    assert "Traceback" not in actual.stderr


def test_another_space_than_the_data_set_was_made_for_is_told(measured):
    """Recalls of two spaces cannot be compared."""
    (measured / "cosine.toml").write_text(VECTORS.replace('"l2"', '"cosine"'))

    actual = cbir_bench(measured, "plan", "cosine.toml")

    assert "made for the space 'l2'" in actual.stdout
    assert "made for the space" not in cbir_bench(measured, "plan", "s.toml").stdout


def test_photos_are_exported_by_model_and_protocol(tmp_path):
    """Each pair is a data set of its own; leave-one-out leaves the query out of its neighbours."""
    write_photos(tmp_path / "photos", n_classes=4, n_images=5)
    (tmp_path / "photos.toml").write_text(PHOTOS)
    run = cbir_bench(tmp_path, "run", "photos.toml", "--no-report")
    assert run.returncode == 0, run.stderr

    done = export(tmp_path, "photos")

    assert done.returncode == 0, done.stderr
    names = sorted(path.stem for path in (tmp_path / "ann" / "data").iterdir())
    assert [name.split("-", 1)[0] for name in names] == ["photos", "photos"]
    full = next(name for name in names if "full-base" in name)
    drawn = points(tmp_path / "ann", full, 10)
    assert drawn["exact"][0].recall == 1.0
    assert any("alpha-qe" in name for name in drawn)
    assert drawn["exact"][0].properties["cbir_bench_k"] == 12
    assert "searched deeper than records keep" in done.stdout
    with h5py.File(tmp_path / "ann" / "data" / f"{full}.hdf5") as file:
        assert not (file["neighbors"][:] == np.arange(20)[:, None]).any()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    """The wrong folder is the likeliest mistake."""
    (tmp_path / "results" / "x").mkdir(parents=True)

    actual = export(tmp_path, "x")

    assert actual.returncode == 2
    assert "no folder of a run" in actual.stderr
