"""The training log as JSON: today's, and those of before."""

from __future__ import annotations

import json
import math

import pytest

from cbir_bench.training.log import TrainingLog, learns

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


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.5], True),
        ([1.5, 2.0], False),
        ([1.0, 1.0], False),
        ([0.0, 0.0], True),  # as low as it gets
        ([0.1, 0.0], True),
        ([3.0, 1.0, *[0.0] * 16, 1.0, 2.9], True),  # the means of two and two
        ([3.0, 1.0, *[0.0] * 16, 1.2, 2.9], False),
        ([1.0, *[5.0] * 8, 0.9], True),  # what is between does not count
        ([math.nan, 1.0, 2.0, math.nan], False),
        ([math.nan, 2.0, 1.0, math.nan], True),
        ([1.0], True),
        ([math.nan] * 4, True),
        ([], True),
    ],
)
def test_a_loss_fell_if_its_last_tenth_is_below_its_first(losses, expected) -> None:
    """Single steps jump about; one step alone can neither fall nor fail to."""
    log = TrainingLog.from_json({**OLD, "losses": losses})

    assert learns(losses, ()) is expected
    assert log.learnt is expected


@pytest.mark.parametrize(
    ("light", "expected"),
    [
        ([0.5, 0.7], True),
        ([0.7, 0.5], False),
        ([0.5, 0.5], False),
        ([0.0, 0.0], False),
        ([math.nan, 0.5, 0.7], True),
        ([math.nan, math.nan], False),
        ([], False),
    ],
)
def test_more_light_pairs_are_learning_whatever_the_loss_of_the_rest(light, expected) -> None:
    """A mean over the pairs that still have a loss rises when the easy ones drop out of it."""
    log = TrainingLog.from_json({**OLD, "losses": [0.38, 0.41], "light": light})

    assert log.learnt is expected


def test_what_a_log_concludes_is_not_written_into_it() -> None:
    """It follows from the losses, and could contradict them."""
    assert "learnt" not in TrainingLog.from_json(OLD).to_json()


def test_an_attribute_of_a_later_version_is_left_out() -> None:
    """An older program still shows the curve of a newer one's log."""
    assert TrainingLog.from_json({**OLD, "colour_of_the_sky": "blue"}) == TrainingLog.from_json(OLD)


@pytest.mark.parametrize("missing", ["losses", "device"])
def test_what_is_no_log_is_refused(missing) -> None:
    """The store then says that the checkpoint is damaged."""
    table = {name: value for name, value in OLD.items() if name != missing}

    with pytest.raises((KeyError, TypeError)):
        TrainingLog.from_json(table)
