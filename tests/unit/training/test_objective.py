"""Several branches: losses add up, each with weights of its own."""

from __future__ import annotations

import math

import pytest
import torch
from oracles import losses_by_loops as loops

from cbir_bench.core.errors import SettingError
from cbir_bench.training.objective import Objective, branches_of
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train

CLASSES = torch.tensor([0, 0, 1, 1, 2, 2])
PIXELS = torch.randint(
    0, 256, (6, 3, 2, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def made(network, **options):
    torch.manual_seed(0)
    return Objective(network, TrainingRecipe(**options), 4)


def test_a_plain_network_is_ranked_by_its_vectors(make_network) -> None:
    """Networks of somebody else need no branches."""
    network = make_network().eval()

    actual = branches_of(network, PIXELS)

    assert actual.classified == ()
    torch.testing.assert_close(actual.ranked[0], network(PIXELS))


def test_the_losses_of_all_branches_add_up(make_branched) -> None:
    """Two n-pair losses, and a classification with temperature and smoothing, by loops."""
    network = make_branched().eval()
    branches = network.branches(PIXELS)
    objective = made(network, loss="n-pair", label_smoothing=0.2, softmax_temperature=0.7)
    (classifier,) = objective.classifiers

    actual, light = objective(branches, CLASSES)

    classes = CLASSES.tolist()
    ranked = sum(loops.n_pair(v.tolist(), classes, 0.07) for v in branches.ranked)
    classified = loops.classification(
        branches.classified[0].tolist(),
        classes,
        classifier.weight.tolist(),
        classifier.bias.tolist(),
        temperature=0.7,
        smoothing=0.2,
    )
    assert actual.item() == pytest.approx(ranked + classified, rel=1e-4)
    assert math.isnan(light)


def test_the_share_of_light_pairs_is_the_mean_of_the_branches(make_branched) -> None:
    """Each branch has a share of its own."""
    network = make_branched().eval()
    branches = network.branches(PIXELS)
    objective = made(network, loss="contrastive")

    _, actual = objective(branches, CLASSES)

    shares = [
        sum((v[i] @ v[j]).item() <= 0.5 for i, j in loops.negative_pairs(CLASSES.tolist())) / 24
        for v in branches.ranked
    ]
    assert actual == pytest.approx(sum(shares) / 2)


def test_every_branch_has_class_weights_of_its_own_length(make_branched) -> None:
    """One set of centres cannot serve vectors of 4 and of 16 values."""
    objective = made(make_branched(), loss="cross-entropy")

    shapes = [tuple(p.shape) for p in objective.losses.parameters()]
    assert shapes == [(4, 4), (16, 4)]
    assert [tuple(p.shape) for p in objective.classifiers.parameters()] == [(4, 16), (4,)]


def test_losses_are_computed_in_float32(make_network) -> None:
    """In bfloat16 a cosine has three digits."""
    network = make_network().eval()
    exact = branches_of(network, PIXELS)
    objective = made(network, loss="n-pair")

    actual, _ = objective(type(exact)((exact.ranked[0].bfloat16(),)), CLASSES)

    assert actual.dtype == torch.float32


@pytest.mark.parametrize("option", [{"label_smoothing": 0.2}, {"softmax_temperature": 1.0}])
def test_options_of_a_classifier_that_is_not_there_are_refused(option, make_network) -> None:
    """They would change the key and nothing else."""
    with pytest.raises(SettingError, match=rf"{next(iter(option))} = .* does nothing, since the"):
        made(make_network(), **option)


@pytest.mark.parametrize("loss", ["triplet", "arcface"])
def test_a_network_with_branches_learns(loss, make_data, make_branched) -> None:
    """Gradients reach every branch, and the classifier."""
    network = make_branched()
    recipe = TrainingRecipe(
        loss=loss,
        steps=60,
        classes_per_batch=4,
        images_per_class=2,
        learning_rate=0.02,
        n_threads=1,
    )

    log = train(network, make_data(*[6] * 8), recipe)

    assert sum(log.losses[-10:]) < 0.8 * sum(log.losses[:10])
