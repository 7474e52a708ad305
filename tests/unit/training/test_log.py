"""The training log as JSON: today's, and those of before."""

from __future__ import annotations

import json
import math

import pytest

from cbir_bench.training.log import TrainingLog

OLD = {
    "losses": [2.0, 1.5],
    "seconds": 1.0,
    "cpu_seconds": 2.0,
    "read_seconds": 0.5,
    "n_images": 8,
    "n_classes": 4,
    "n_left_out": 1,
    "device": "cpu",
}


def test_a_log_comes_back_from_strict_json() -> None:
    """NaN is no JSON, and other languages' parsers refuse it."""
    log = TrainingLog.from_json(
        {
            **OLD,
            "light": [math.nan, 0.5],
            "validations": [{"step": 2, "scores": {"map_at_r": math.nan, "hit_rate@1": 0.25}}],
        }
    )

    text = json.dumps(log.to_json(), allow_nan=False)
    actual = TrainingLog.from_json(json.loads(text))

    assert json.loads(text)["light"] == [None, 0.5]
    assert actual.to_json() == log.to_json()
    assert math.isnan(actual.light[0])
    assert math.isnan(actual.validations[0]["scores"]["map_at_r"])


def test_a_log_of_before_is_read() -> None:
    """Checkpoints live long; what was not written then is not made up."""
    actual = TrainingLog.from_json(OLD)

    assert actual.losses == (2.0, 1.5)
    assert (actual.learning_rates, actual.light, actual.validations) == ((), (), ())
    assert actual.best_step == 2


def test_an_attribute_of_a_later_version_is_left_out() -> None:
    """An older program still shows the curve of a newer one's log."""
    assert TrainingLog.from_json({**OLD, "colour_of_the_sky": "blue"}) == TrainingLog.from_json(OLD)


@pytest.mark.parametrize("missing", ["losses", "device"])
def test_what_is_no_log_is_refused(missing) -> None:
    """The store then says that the checkpoint is damaged."""
    table = {name: value for name, value in OLD.items() if name != missing}

    with pytest.raises((KeyError, TypeError)):
        TrainingLog.from_json(table)
