"""`cbir-bench train` and `cbir-bench freeze`: weights and vectors alone, resumed, exported."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from e2e.tiny import cbir_bench, command, environment

from cbir_bench.files.writing import write_embeddings

TRAINED = """
name = "trained"
metrics = ["map_at_r", "hit_rate@1"]

[[dataset]]
use = "image_folder"
root = "photos"
train_fraction = 0.5

[[model]]
label = "network"
use = "timm"
backbone = "test_resnet"
weights = "train"
embedding_dim = 8
image_size = 32
[model.training]
steps = 12
classes_per_batch = 2
images_per_class = 2
n_threads = 1

[[index]]
use = "exact"

[search]
k = 6
"""
SLOW = """
name = "slow"
metrics = ["map_at_r"]

[[dataset]]
use = "products"
n_train_classes = 2
n_test_classes = 120

[[model]]
use = "pixels"

[[transform]]
use = "none"

[[index]]
use = "exact"

[search]
k = 5
"""


@pytest.fixture
def trained(place):
    """A suite whose model is trained in a second."""
    (place / "trained.toml").write_text(TRAINED)
    return place


def test_train_trains_and_a_run_finds_the_weights(trained):
    """Whoever has a GPU for an hour trains there and measures elsewhere."""
    first = cbir_bench(trained, "train", "trained.toml")
    again = cbir_bench(trained, "train", "trained.toml")

    actual = cbir_bench(trained, "plan", "trained.toml")

    assert first.returncode == 0, first.stderr
    assert "network" in first.stdout
    assert "train network" in first.stderr
    assert "train network" not in again.stderr
    assert re.search(r"network on .*: to freeze\n", actual.stdout)


def test_the_report_shows_how_models_learnt(trained):
    """The table of models has the cost of training beside quality."""
    ran = cbir_bench(trained, "run", "trained.toml")

    report = (trained / "results/trained/report/report.md").read_text()
    assert ran.returncode == 0, ran.stderr
    assert "## Training" in report
    assert "training, CPU" in report
    assert "images/s" in report
    assert (trained / "results/trained/report/figures/training.png").is_file()


def test_plan_says_which_classes_of_the_test_split_were_trained_on(trained):
    """A score on classes that a model knows says little about new ones."""
    for i in range(6):
        for part, numbers in (("train", "012"), ("test", "345")):
            folder = trained / "parts" / part / f"class{i}"
            folder.mkdir(parents=True)
            for number in numbers:
                (trained / "photos" / f"class{i}" / f"{number}.png").rename(
                    folder / f"{number}.png"
                )
    text = TRAINED.replace('root = "photos"\ntrain_fraction = 0.5', 'root = "parts"')
    (trained / "trained.toml").write_text(text.replace("k = 6", "k = 2"))

    actual = cbir_bench(trained, "plan", "trained.toml")

    assert actual.returncode == 0, actual.stderr
    assert "6 of 6 classes of the test split are in the training split, too" in actual.stdout


def test_train_without_anything_to_train_says_so(place):
    """Nothing is done in silence."""
    actual = cbir_bench(place, "train", "tiny.toml")

    assert actual.returncode == 2
    assert "No model of the suite is trained" in actual.stderr


@pytest.mark.parametrize("kind", ["npz", "parquet", "safetensors", "npy"])
def test_a_folder_of_images_becomes_a_file_that_score_takes(place, kind):
    """From photos to numbers in two commands, without a suite."""
    frozen = cbir_bench(place, "freeze", "photos", "--model", "pixels", "--out", f"e.{kind}")

    assert frozen.returncode == 0, frozen.stderr
    assert "36" in frozen.stdout
    actual = cbir_bench(place, "score", "--embeddings", f"e.{kind}", "--metrics", "ap")
    assert actual.returncode == 0, actual.stderr
    assert "36 queries" in actual.stdout


def test_a_suite_is_exported_into_a_folder(place):
    """A file for each data set and model, named after them."""
    actual = cbir_bench(place, "freeze", "tiny.toml", "--out", "vectors", "--format", "parquet")

    assert actual.returncode == 0, actual.stderr
    names = sorted(path.name for path in (place / "vectors").iterdir())
    assert len(names) == 2
    assert all(name.endswith(".parquet") for name in names)
    assert any("colour_histogram" in name for name in names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos"], "no model is named that could embed them"),
        (["photos", "--model", "pixel"], "Did you mean 'pixels'?"),
        (["photos", "--model", "pixels(size=16"], "names no component"),
        (["photos", "--model", "timm(weights=train)"], "has to learn from a training split first"),
        (["photos", "--model", "pixels", "--out", "e.hdf5"], "Give a file that ends in .npz"),
        (["photos", "--model", "pixels", "--format", "npz"], "Add --out"),
        (["tiny.toml", "--out", "e.npz"], "there are 2 embeddings to write"),
        (["nothing"], "There is no suite file 'nothing'"),
        (["photos", "--model", "timm(pooling=GeM)"], "pooling: The value is 'GeM'"),
        (["photos", "--model", "timm(pooling=gem, gem_p=0)"], "gem_p: The value is 0"),
        (["photos", "--model", "pixels(size=abc)"], "size: The value is 'abc'"),
        (["photos", "--model", "pixels(size=-3)"], "size: The value is -3"),
        (["photos", "--model", "timm(seed=1.5)"], "seed: The value is 1.5"),
        (["photos", "--model", "timm(poling=gem)"], "Did you mean 'pooling'?"),
        (["tiny.toml", "--model", "pixels"], "'tiny.toml' is a suite"),
    ],
)
def test_bad_input_is_one_sentence(place, arguments, sentence):
    """Found before anything is frozen."""
    actual = cbir_bench(place, "freeze", *arguments)

    assert actual.returncode == 2
    assert sentence in actual.stderr
    assert "Traceback" not in actual.stderr


def test_one_model_that_fails_does_not_stop_the_others(place):
    """The exit code says that something is missing; the rest is there."""
    models = ["--model", "pixels", "--model", "timm(backbone=test_resnet, weights=broken.pth)"]
    (place / "broken.pth").write_bytes(b"no weights at all")

    actual = cbir_bench(place, "freeze", "photos", *models, "--out", "vectors")

    assert actual.returncode == 1
    assert "broken.pth" in actual.stdout
    assert len(list((place / "vectors").glob("*.npz"))) == 1


def test_a_text_may_look_like_a_number(place):
    """One scale is "1", as the documentation writes it, and no quotes survive every shell."""
    model = "timm(backbone=test_resnet, image_size=32, scales=1)"

    actual = cbir_bench(place, "freeze", "photos", "--model", model)

    assert actual.returncode == 0, actual.stderr


def test_images_that_cannot_be_read_are_left_out_where_that_is_asked_for(place):
    """The advice of the message is something that this command can follow."""
    (place / "photos" / "class0" / "broken.png").write_bytes(b"no picture")

    refused = cbir_bench(place, "freeze", "photos", "--model", "pixels")
    actual = cbir_bench(place, "freeze", "photos", "--model", "pixels", "--skip-bad-images")

    assert refused.returncode == 2
    assert "broken.png" in refused.stderr
    assert actual.returncode == 0, actual.stderr
    assert " 36 " in actual.stdout


def test_freezing_killed_in_the_middle_goes_on_and_gives_the_same_vectors(place):
    """kill -9 costs at most the shard that was being written."""
    (place / "slow.toml").write_text(SLOW)
    arguments = ["freeze", "slow.toml", "--batch-size", "16", "--readers", "1"]
    running = subprocess.Popen(
        command(*arguments, "--out", "killed.npz"),
        cwd=place,
        env={**environment(place), "CBIR_BENCH_CACHE": str(place / "other")},
        stderr=subprocess.DEVNULL,
    )
    shards = place / "other" / "embeddings"
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        if len(list(shards.glob(".*.partial/*"))) >= 3:
            break
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (place / "killed.npz").exists()

    resumed = subprocess.run(
        command(*arguments, "--out", "killed.npz"),
        cwd=place,
        env={**environment(place), "CBIR_BENCH_CACHE": str(place / "other")},
        capture_output=True,
        text=True,
        check=False,
    )
    straight = cbir_bench(place, *arguments, "--out", "straight.npz")

    assert resumed.returncode == straight.returncode == 0, resumed.stderr + straight.stderr
    with np.load(place / "killed.npz") as one, np.load(place / "straight.npz") as other:
        np.testing.assert_array_equal(one["vectors"], other["vectors"])
    assert not list(shards.glob(".*"))


def test_training_killed_in_the_middle_goes_on_and_gives_the_same_weights(trained):
    """The same bits as without the kill: the key of the weights promises it."""
    long = TRAINED.replace("steps = 12", "steps = 400\nvalidate_every = 20\nheld_out = 0.34")
    long = long.replace("train_fraction = 0.5", "train_fraction = 0.7")
    (trained / "trained.toml").write_text(long)
    other = {**environment(trained), "CBIR_BENCH_CACHE": str(trained / "other")}
    running = subprocess.Popen(
        command("train", "trained.toml"), cwd=trained, env=other, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    weights = trained / "other" / "weights"
    weights.mkdir(parents=True)
    while running.poll() is None and time.monotonic() < deadline:
        if list(weights.glob(".*.partial")):
            break
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert [path for path in weights.iterdir() if not path.name.startswith(".")] == []

    resumed = subprocess.run(
        command("train", "trained.toml"), cwd=trained, env=other, capture_output=True, check=False
    )
    cbir_bench(trained, "train", "trained.toml")

    assert resumed.returncode == 0
    (one,) = weights.glob("*/checkpoint.safetensors")
    (straight,) = (trained / "cache" / "weights").glob("*/checkpoint.safetensors")
    assert one.read_bytes() == straight.read_bytes()
    log = json.loads((one.parent / "training.json").read_text())["log"]
    assert log["n_resumed"] == 1


def test_a_run_of_embeddings_made_elsewhere(place):
    """No image is at hand: ids, labels and vectors are all there is."""
    rng = np.random.default_rng(0)
    labels = [f"class{i % 6}" for i in range(48)]
    centres = rng.normal(size=(6, 16))
    vectors = np.stack([centres[i % 6] + rng.normal(0, 0.3, 16) for i in range(48)])
    ids = [f"item{i}" for i in range(48)]
    write_embeddings(place / "mine.parquet", vectors.astype(np.float32), ids, labels)
    (place / "mine.toml").write_text("""
name = "mine"
metrics = ["map_at_r", "knn_recall@5"]
[[dataset]]
use = "vectors"
file = "mine.parquet"
[[model]]
use = "given_vectors"
file = "mine.parquet"
[[index]]
use = "exact"
[[index]]
use = "hnswlib"
ef_search = 32
[search]
k = 8
""")

    actual = cbir_bench(place, "run", "mine.toml")

    assert actual.returncode == 0, actual.stderr
    assert "4 trials measured" in actual.stdout
    assert "| given_vectors" in (place / "results/mine/report/report.md").read_text()


def test_a_transform_learns_from_the_training_split_alone(trained):
    """Its vectors are an artefact of their own, and stand beside those that they come from."""
    text = TRAINED.replace(
        "[[index]]",
        '[[transform]]\nuse = "none"\n[[transform]]\nuse = "pca_whitening"\ndim = 4\n[[index]]',
    )
    (trained / "trained.toml").write_text(text)

    actual = cbir_bench(trained, "run", "trained.toml")

    report = (trained / "results/trained/report/report.md").read_text()
    assert actual.returncode == 0, actual.stderr
    assert "pca_whitening(dim=4)" in report
    assert len(list((trained / "cache" / "embeddings").iterdir())) == 3


def test_a_transform_that_needs_more_than_there_is_becomes_a_reason(trained):
    """The other transforms are measured all the same."""
    text = TRAINED.replace(
        "[[index]]", '[[transform]]\nuse = "none"\n[[transform]]\nuse = "pca"\ndim = 12\n[[index]]'
    )
    (trained / "trained.toml").write_text(text)

    actual = cbir_bench(trained, "run", "trained.toml")

    assert actual.returncode == 0, actual.stderr
    assert "2 trials have no result" in actual.stdout
    assert "refused: The transform keeps dim = 12, but the vectors have 8" in actual.stdout
