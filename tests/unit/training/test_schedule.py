"""The learning rate of each step, and which weights it is for."""

from __future__ import annotations

import numpy as np
import pytest

from cbir_bench.training.objective import Objective
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.schedule import make_optimizer, rate_at, set_rate


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    """The last steps settle; the first ones do not tear the weights apart."""
    recipe = TrainingRecipe(steps=100, warmup=0.1)

    rates = [rate_at(step, recipe) for step in range(101)]

    assert np.argmax(rates) == 10
    assert rates[10] == 1
    assert 0 < rates[0] < 0.1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert all(np.diff(rates[:11]) > 0)
    assert all(np.diff(rates[10:]) < 0)


@pytest.mark.parametrize("warmup", [0, 0.9])
def test_every_step_of_a_short_training_has_a_rate(warmup) -> None:
    """A rate of 0 would be a step for nothing."""
    recipe = TrainingRecipe(steps=1, warmup=warmup)

    assert rate_at(0, recipe) > 0


def rates_and_decays(network, **options):
    """Return {(rate, decay): number of weights} at half the peak."""
    recipe = TrainingRecipe(learning_rate=0.2, weight_decay=0.3, **options)
    optimizer = make_optimizer(network, Objective(network, recipe, 7), recipe)
    set_rate(optimizer, 0.5)
    return {
        (round(group["lr"], 6), group["weight_decay"]): sum(p.numel() for p in group["params"])
        for group in optimizer.param_groups
    }


def test_biases_and_norms_are_not_decayed(make_network) -> None:
    """Decay is for matrices: 3 x 16 and 16 x 4 of them."""
    actual = rates_and_decays(make_network(), backbone_rate=0.1)

    assert actual == {
        (0.01, 0.3): 48,
        (0.01, 0.0): 48,
        (0.1, 0.3): 64,
        (0.1, 0.0): 4,
    }


def test_class_weights_have_a_rate_of_their_own(make_network) -> None:
    """Seven proxies of four values: they have no time to lose."""
    actual = rates_and_decays(make_network(), loss="proxy-anchor", loss_learning_rate=8)

    assert actual[4.0, 0.0] == 28


def test_classifiers_learn_as_the_network_does(make_branched) -> None:
    """Seven rows of sixteen, and seven biases."""
    actual = rates_and_decays(make_branched(), backbone_rate=0.1)

    assert actual[0.1, 0.3] == 64 + 7 * 16
    assert actual[0.1, 0.0] == 4 + 7


def test_weights_that_are_fixed_stay_out(make_network) -> None:
    """A GeM exponent that is not trained, say."""
    network = make_network()
    network.head.weight.requires_grad_(requires_grad=False)

    actual = rates_and_decays(network, backbone_rate=0.1)

    assert (0.1, 0.3) not in actual
