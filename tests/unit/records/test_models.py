"""What a run folder tells of its models reaches the table of trials."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from unit.report.synthetic import ANNOY, Point, record_of, write_run

from cbir_bench.core.errors import RecordError
from cbir_bench.records.frame import read_run
from cbir_bench.records.models import read_models, write_model

TRAINED = {
    "key": "e" * 16,
    "model": "ResNet",
    "dataset": "products",
    "n_parameters": 373_000,
    "images_per_second": 1234.5,
    "training": {"recipe": {"loss": "triplet"}, "log": {"cpu_seconds": 61.5, "seconds": 33.0}},
}


def test_a_model_is_read_as_it_was_written(tmp_path):
    """Names of files need not be UTF-8."""
    table = {**TRAINED, "model": "caf\udce9.safetensors"}

    write_model(tmp_path, table)

    assert read_models(tmp_path) == {"e" * 16: table}


def test_a_run_of_before_has_no_models(tmp_path):
    """Reports of old runs go on working."""
    run = read_run(write_run(tmp_path / "old", [record_of(Point())]))

    assert run.models == ()
    assert math.isnan(run.points.loc[0, "n_parameters"])


def test_trials_know_the_cost_of_their_model(tmp_path):
    """By the key of the embeddings: two models may share a label."""
    record = record_of(Point())
    other = record_of(Point(sweep=ANNOY))
    other = replace(other, trial=replace(other.trial, embeddings_key="f" * 16))
    folder = write_run(tmp_path / "run", [record, other])
    write_model(folder, TRAINED)

    actual = read_run(folder)

    columns = ["n_parameters", "images_per_second", "training_cpu_seconds", "training_seconds"]
    assert actual.points.loc[0, columns].tolist() == [373_000, 1234.5, 61.5, 33.0]
    assert actual.points.loc[1, columns].isna().all()
    assert [(m["key"], m["label"]) for m in actual.models] == [("e" * 16, "resnet-gem")]


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_a_torn_file_is_one_sentence(tmp_path, content):
    """Half a table would be worse than none."""
    write_model(tmp_path, TRAINED)
    (tmp_path / "models" / f"{'e' * 16}.json").write_bytes(content)

    with pytest.raises(RecordError, match=r"is torn\. Delete it"):
        read_models(tmp_path)
