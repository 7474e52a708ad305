"""Checkpoints: whole and verified, or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError
from cbir_bench.core.model import Learned
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.training.log import TrainingLog
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.store import CheckpointStore, training_key, training_origin
from cbir_bench.training.trainer import train

LOG = TrainingLog(
    losses=(2.0, 1.5),
    seconds=1.0,
    cpu_seconds=2.0,
    read_seconds=0.5,
    n_images=8,
    n_classes=4,
    n_left_out=1,
    device="cpu",
    learning_rates=(0.1, 0.2),
    light=(0.25, 1.0),
    validations=({"step": 2, "scores": {"map_at_r": 0.5}},),
    best_step=2,
    precision="float32",
)


@pytest.fixture
def store(tmp_path: Path, make_network) -> CheckpointStore:
    """A store with the checkpoint "abc"."""
    made = CheckpointStore(tmp_path / "checkpoints")
    made.save("abc", make_network(seed=1), LOG, {"data": "x"})
    return made


def test_a_checkpoint_comes_back_with_its_log(store, make_network) -> None:
    """To the bit."""
    from safetensors.torch import load_file

    actual = load_file(store.checkpoint("abc"))

    expected = make_network(seed=1).state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())
    assert store.log("abc") == LOG
    assert store.has("abc")
    assert not store.has("abd")


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "training.json"])
def test_a_damaged_checkpoint_is_never_used(store, name) -> None:
    """Its vectors would be measured as the model's."""
    path = store.root / "abc" / name
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(DataError, match=r"damaged or incomplete\. Delete that folder"):
        store.checkpoint("abc")


def test_a_missing_checkpoint_is_named(store) -> None:
    """A key that was never saved."""
    with pytest.raises(DataError, match="nothing is damaged or incomplete"):
        store.checkpoint("nothing")


@pytest.mark.parametrize(
    "change",
    [
        {"data_hash": "e"},
        {"model": {"seed": 1}},
        {"recipe": {}},
        {"versions": {"torch": "3"}},
        {"weights_hash": "f"},
    ],
)
def test_whatever_changes_the_weights_changes_the_key(change) -> None:
    """A stale checkpoint must never be taken for this one."""
    options = {
        "data_hash": "d",
        "model": {"seed": 0},
        "recipe": {"steps": 3},
        "weights_hash": "w",
        "versions": {},
    }

    assert training_key(training_origin(**options)) != training_key(
        training_origin(**options | change)
    )


def test_a_trained_model_embeds_as_it_did_when_training_ended(tmp_path, make_data) -> None:
    """Batch statistics, head and exponent all travel through the checkpoint."""
    context = DataContext(folders=(), cache=tmp_path)
    model = TimmModel(
        backbone="test_efficientnet",
        weights="train",
        pooling="gem",
        embedding_dim=8,
        image_size=32,
        device="cpu",
    )
    network = model.network(context)
    data = make_data(*[4] * 4)
    recipe = TrainingRecipe(steps=3, classes_per_batch=4, images_per_class=2, n_threads=1)
    images = data.images.read([0, 5, 9])
    store = CheckpointStore(tmp_path)

    log = train(network, data, recipe)
    path = store.save("abc", network, log, {})
    with torch.inference_mode():
        expected = network(torch.from_numpy(network.prepare(images))).numpy()
    embedder = model.embedder(context, Learned(trained=path))
    (actual,) = embedder.embed([embedder.prepare(images)])

    np.testing.assert_allclose(actual, expected, atol=1e-6)


KILLED = """
import os, sys
from pathlib import Path
import torch
from cbir_bench.training.store import CheckpointStore
from cbir_bench.training.log import TrainingLog
from cbir_bench.core import artefact
artefact._sync = lambda folder: os.kill(os.getpid(), 9)
log = TrainingLog(losses=(1.0,), seconds=1, cpu_seconds=1, read_seconds=1, n_images=1, n_classes=1,
                  n_left_out=0, device="cpu")
CheckpointStore(Path(sys.argv[1])).save("abc", torch.nn.Linear(2, 2), log, {})
"""


def test_a_process_killed_while_saving_leaves_no_checkpoint(tmp_path) -> None:
    """kill -9 at the worst moment: all is written, nothing is synced or renamed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)

    assert done.returncode == -9
    assert not CheckpointStore(tmp_path).has("abc")
    assert list(tmp_path.iterdir()) != []
