"""Held-out classes: which they are, what they decide, and that they disturb nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cbir_bench.core.errors import SettingError
from cbir_bench.training.classes import choose_material
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train

SMALL = {"steps": 12, "classes_per_batch": 4, "images_per_class": 2, "n_threads": 1}


class Scripted:
    """Gives prepared scores in turn, and remembers what it was shown."""

    def __init__(self, *scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, vectors, classes):
        self.seen.append((vectors, classes))
        return {"map_at_r": self.scores[len(self.seen) - 1], "hit_rate@1": 0.0}


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(a, b):
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def test_the_validation_split_is_validated_on(make_data, make_network) -> None:
    """Classes of a single image can be found by nobody."""
    network, score = make_network(), Scripted(0.5)
    data = make_data(*[6] * 8, val=(3, 1, 2))

    log = train(network, data, TrainingRecipe(**SMALL), score=score)

    ((vectors, classes),) = score.seen
    assert classes.tolist() == [0, 0, 0, 1, 1]
    pixels = torch.from_numpy(network.prepare(data.images.read([48, 49, 50, 52, 53])))
    with torch.inference_mode():
        expected = network(pixels).numpy()
    np.testing.assert_array_equal(vectors, expected)
    assert vectors.dtype == np.float32
    assert log.validations == ({"step": 12, "scores": {"map_at_r": 0.5, "hit_rate@1": 0.0}},)
    assert log.n_held_out == 0


def test_held_out_classes_are_whole_and_not_trained_on(make_data) -> None:
    """What was seen in training says nothing about what was not."""
    data = make_data(*[3, 4, 5, 6] * 5)

    material = choose_material(data, TrainingRecipe(**SMALL, held_out=0.2))

    training, held = material.training, material.validation
    assert (training.n_classes, held.n_classes, material.n_held_out) == (16, 4, 4)
    assert sorted([*training.rows, *held.rows]) == list(range(90))
    of_row = data.images.classes
    assert set(of_row[training.rows]).isdisjoint(of_row[held.rows])
    for part in (training, held):
        assert set(part.classes) == set(range(part.n_classes))
        pairs = set(zip(part.classes, of_row[part.rows], strict=True))
        assert len(pairs) == part.n_classes


def test_held_out_classes_are_drawn_by_the_seed(make_data) -> None:
    """The same ones for the same recipe, and not the first ones."""
    data = make_data(*[3] * 20)

    def rows(seed):
        recipe = TrainingRecipe(**SMALL, held_out=0.2, seed=seed)
        return choose_material(data, recipe).validation.rows.tolist()

    assert rows(0) == rows(0) != rows(1)
    assert rows(0) != list(range(12))


def test_a_small_share_still_holds_two_classes_out(make_data) -> None:
    """In a single class everything is found."""
    material = choose_material(make_data(*[3] * 20), TrainingRecipe(**SMALL, held_out=0.001))

    assert material.n_held_out == 2


def test_a_validation_split_is_used_before_classes_are_held_out(make_data) -> None:
    """No training class is given away where others are there to validate on."""
    data = make_data(*[3] * 20, val=(2, 2))

    material = choose_material(data, TrainingRecipe(**SMALL, held_out=0.2))

    assert material.training.n_classes == 20
    assert material.n_held_out == 0
    assert material.validation.n_classes == 2


def test_too_few_classes_are_left_to_train_on(make_data, make_network) -> None:
    """The message counts what is left."""
    with pytest.raises(SettingError, match=r"has 3 with at least two images left"):
        train(make_network(), make_data(*[3] * 5), TrainingRecipe(**SMALL, held_out=0.4))


def test_nothing_to_validate_on_is_said(make_data, make_network) -> None:
    """Every option does something, or says that it cannot."""
    recipe = TrainingRecipe(**SMALL, validate_every=3)

    with pytest.raises(
        SettingError, match=r"validate_every = 3 needs images .* Set held_out = 0\.1"
    ):
        train(make_network(), make_data(*[6] * 8), recipe, score=Scripted())


def test_validations_without_a_score_are_refused(make_data, make_network) -> None:
    """The caller has to say what is good."""
    recipe = TrainingRecipe(**SMALL, validate_every=3)

    with pytest.raises(SettingError, match="validate_every = 3 needs a score"):
        train(make_network(), make_data(*[6] * 8, val=(2, 2)), recipe)


def test_validating_does_not_disturb_training(make_data, make_network) -> None:
    """Otherwise looking more often would give other weights."""
    plain, looked = make_network(), make_network()
    data = make_data(*[6] * 8, val=(3, 3))

    def score(vectors, classes):
        torch.rand(7)
        return {"map_at_r": float(len(seen))}

    seen = []
    expected = train(plain, data, TrainingRecipe(**SMALL))
    log = train(
        looked,
        data,
        TrainingRecipe(**SMALL, validate_every=5),
        lambda phase, *rest: seen.append(phase),
        score=score,
    )

    assert [one["step"] for one in log.validations] == [5, 10, 12]
    assert log.losses == expected.losses
    assert log.best_step == 12
    assert_same(weights(plain), weights(looked))


def test_the_best_weights_are_kept(make_data, make_network) -> None:
    """Of equal scores, the earlier ones; batch statistics and all."""
    data = make_data(*[6] * 8, val=(3, 3))
    snapshots = {}
    network = make_network()

    def progress(phase, n_done, n_total, loss, note=""):
        snapshots[n_done] = weights(network)

    log = train(
        network,
        data,
        TrainingRecipe(**SMALL, validate_every=3),
        progress,
        score=Scripted(0.2, 0.7, 0.7, 0.1),
    )

    assert log.best_step == 6
    assert_same(weights(network), snapshots[6])
    assert not torch.equal(snapshots[6]["head.weight"], snapshots[12]["head.weight"])


def test_training_stops_when_it_gets_no_better(make_data, make_network) -> None:
    """Two validations without a better one, and the best weights are back."""
    log = train(
        make_network(),
        make_data(*[6] * 8, val=(3, 3)),
        TrainingRecipe(**SMALL, validate_every=2, patience=2),
        score=Scripted(0.1, 0.3, 0.2, 0.3),
    )

    assert len(log.losses) == 8
    assert log.stopped_early
    assert log.best_step == 4


def test_getting_better_all_the_time_is_no_early_stop(make_data, make_network) -> None:
    """Nor is running out of steps."""
    log = train(
        make_network(),
        make_data(*[6] * 8, val=(3, 3)),
        TrainingRecipe(**SMALL, validate_every=4, patience=2),
        score=Scripted(0.1, 0.05, 0.04),
    )

    assert len(log.losses) == 12
    assert not log.stopped_early


def test_a_score_that_is_no_number_is_never_the_best(make_data, make_network) -> None:
    """NaN compares false with everything."""
    log = train(
        make_network(),
        make_data(*[6] * 8, val=(3, 3)),
        TrainingRecipe(**SMALL, validate_every=4),
        score=Scripted(math.nan, 0.1, math.nan),
    )

    assert log.best_step == 8


def test_progress_tells_the_last_validation_and_the_share_of_light_pairs(
    make_data, make_network
) -> None:
    """Both say whether waiting is worth it."""
    told = []

    log = train(
        make_network(),
        make_data(*[6] * 8, val=(3, 3)),
        TrainingRecipe(**SMALL, loss="contrastive", validate_every=6),
        lambda *event: told.append(event[4]),
        score=Scripted(0.4123, 0.5),
    )

    percent = f"{100 * log.light[8]:.0f} % light"
    assert told[-12 + 8] == f"map_at_r 0.412, {percent}"
    assert told[-12] == f"{100 * log.light[0]:.0f} % light"


def test_all_images_are_announced_before_they_are_read(make_data, make_network) -> None:
    """Training and validation images together: one bar."""
    told = []

    train(
        make_network(),
        make_data(*[10] * 8, val=(3, 3)),
        TrainingRecipe(**SMALL),
        lambda *event: told.append(event[:3]),
        score=Scripted(1.0),
    )

    assert [event for event in told if event[0] == "images"] == [
        ("images", 64, 86),
        ("images", 86, 86),
    ]


def test_validation_takes_no_share_of_the_training_time(make_data, make_network) -> None:
    """Training seconds are compared between models, however often they were looked at."""
    import time

    def slow(vectors, classes):
        time.sleep(0.3)
        return {"map_at_r": 0.0}

    log = train(
        make_network(), make_data(*[6] * 8, val=(3, 3)), TrainingRecipe(**SMALL), score=slow
    )

    assert log.validation_seconds >= 0.3
    assert log.seconds + log.validation_seconds > 0.3
