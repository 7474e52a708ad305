"""A trial's id names everything that decides a measurement, and nothing else."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from cbir_bench.core.component import Setting
from cbir_bench.core.trial import Trial


def setting(use, options="{}", label=""):
    return Setting(use=use, options=options, label=label)


@pytest.fixture
def trial():
    return Trial(
        dataset=setting("products"),
        model=setting("timm", '{"backbone":"resnet"}', "ResNet"),
        training=setting("training", '{"steps":400}'),
        quantizer=setting("none"),
        index=setting("hnswlib", '{"m":16}', "HNSW"),
        reranker=setting("none"),
        protocol=setting("full-base"),
        space="cosine",
        k=10,
        n_threads=1,
        data_hash="d",
        embeddings_key="e",
        measure=setting("measure", '{"n_passes":3}'),
        metrics=("ap@10", "mrr"),
    )


CHANGES = {
    "dataset": setting("digits"),
    "model": setting("timm", '{"backbone":"vit"}'),
    "training": None,
    "transform": setting("pca", '{"dim":8}'),
    "quantizer": setting("int8"),
    "index": setting("hnswlib", '{"m":32}', "HNSW"),
    "reranker": setting("alpha-qe"),
    "protocol": setting("query-set"),
    "space": "l2",
    "k": 11,
    "n_threads": 2,
    "data_hash": "d2",
    "embeddings_key": "e2",
    "measure": setting("measure", '{"n_passes":5}'),
    "metrics": ("ap@10",),
    "replicate": 1,
}


def test_every_field_has_a_change_here():
    """A field added later is tested, too."""
    assert set(CHANGES) == {f.name for f in fields(Trial)}


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_decides_the_id(trial, field):
    """Two different measurements never share a record."""
    assert replace(trial, **{field: CHANGES[field]}).id != trial.id


def test_labels_do_not_decide_the_id(trial):
    """Renaming a model measures nothing again."""
    renamed = replace(trial, model=setting("timm", '{"backbone":"resnet"}', "Model A"))

    assert renamed.id == trial.id
    assert renamed == trial


def test_the_id_is_the_same_in_every_process(trial):
    """It names a file that a later run looks for."""
    assert trial.id == "4adb1c23a09728e5"


def test_a_trial_survives_its_record(trial):
    """Written as JSON and read again, with its labels."""
    table = json.loads(json.dumps(trial.to_json()))

    actual = Trial.from_json(table, trial.labels())

    assert actual == trial
    assert actual.id == trial.id
    assert actual.labels() == trial.labels()
    assert actual.labels()["model"] == "ResNet"


def test_a_trial_without_training_survives_its_record(trial):
    """None stays None."""
    untrained = replace(trial, training=None)

    assert Trial.from_json(untrained.to_json(), untrained.labels()) == untrained
    assert "training" not in untrained.labels()


def test_a_trial_with_a_transform_survives_its_record(trial):
    """One without is what it was before there were transforms: same id, no such key."""
    changed = replace(trial, transform=setting("pca", '{"dim":8}', "PCA"))

    assert Trial.from_json(changed.to_json(), changed.labels()) == changed
    assert changed.labels()["transform"] == "PCA"
    assert "transform" not in trial.to_json()
