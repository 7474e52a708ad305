"""Losses, miners and light pairs, against loops written from the papers."""

from __future__ import annotations

import math
from collections import Counter
from typing import get_args

import numpy as np
import pytest
import torch
from oracles import losses_by_loops as loops

from cbir_bench.core.component import field_types
from cbir_bench.core.errors import SettingError
from cbir_bench.training.losses import make_ranking
from cbir_bench.training.recipe import TrainingRecipe

TYPES = field_types(TrainingRecipe)
LOSSES, MINERS = get_args(TYPES["loss"]), get_args(TYPES["miner"])
CLASSES = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
N_CLASSES, DIM = 5, 3


@pytest.fixture
def vectors():
    """Twelve unit vectors, those of one class near each other, but not all of them nearest."""
    draws = torch.Generator().manual_seed(4)
    centres = torch.randn(N_CLASSES, DIM, generator=draws)[CLASSES]
    noise = torch.randn(len(CLASSES), DIM, generator=draws)
    return torch.nn.functional.normalize(centres + 0.7 * noise, dim=1)


def ranking(**options):
    torch.manual_seed(0)
    return make_ranking(TrainingRecipe(**options), N_CLASSES, DIM)


def loss_of(made, vectors):
    return made.loss(vectors, CLASSES, made.mine(vectors, CLASSES)).item()


@pytest.mark.parametrize(
    ("options", "oracle"),
    [
        ({"loss": "contrastive"}, lambda v, c, w: loops.contrastive(v, c, 0.5, 1.0)),
        (
            {"loss": "contrastive", "margin": 0.2, "positive_margin": 0.8},
            lambda v, c, w: loops.contrastive(v, c, 0.2, 0.8),
        ),
        ({"loss": "triplet", "miner": "none"}, lambda v, c, w: loops.triplet(v, c, 0.2)),
        (
            {"loss": "triplet", "miner": "none", "margin": 0.7},
            lambda v, c, w: loops.triplet(v, c, 0.7),
        ),
        ({"loss": "n-pair"}, lambda v, c, w: loops.n_pair(v, c, 0.07)),
        ({"loss": "n-pair", "temperature": 0.5}, lambda v, c, w: loops.n_pair(v, c, 0.5)),
        ({"loss": "arcface"}, lambda v, c, w: loops.arcface(v, c, w, 0.3, 16)),
        (
            {"loss": "arcface", "margin": 0.5, "scale": 64},
            lambda v, c, w: loops.arcface(v, c, w, 0.5, 64),
        ),
        ({"loss": "proxy-anchor"}, lambda v, c, w: loops.proxy_anchor(v, c, w, 0.1, 8)),
        (
            {"loss": "proxy-anchor", "margin": 0.3, "scale": 32},
            lambda v, c, w: loops.proxy_anchor(v, c, w, 0.3, 32),
        ),
        (
            {"loss": "cross-entropy"},
            lambda v, c, w: loops.normalised_cross_entropy(v, c, w, 0.1),
        ),
        (
            {"loss": "cross-entropy", "temperature": 0.3},
            lambda v, c, w: loops.normalised_cross_entropy(v, c, w, 0.3),
        ),
        (
            {"loss": "multi-similarity", "miner": "none"},
            lambda v, c, w: loops.multi_similarity(v, c, 2, 50, 0.5),
        ),
        (
            {"loss": "multi-similarity", "miner": "none", "margin": 0.3, "scale": 10},
            lambda v, c, w: loops.multi_similarity(v, c, 2, 10, 0.3),
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_loss_is_what_its_paper_says(options, oracle, vectors) -> None:
    """Margins have units, and libraries differ in means, norms and which pairs they take."""
    made = ranking(**options)
    (weights,) = [p.detach() for p in made.loss.parameters()] or [torch.empty(0, 0)]
    centres = weights if options["loss"] == "proxy-anchor" else weights.T

    actual = loss_of(made, vectors)

    assert actual == pytest.approx(
        oracle(vectors.tolist(), CLASSES.tolist(), centres.tolist()), 1e-4
    )


def test_the_tuplet_loss_is_the_librarys_slower_one(vectors) -> None:
    """NTXentLoss compares every positive pair with every negative one; values and gradients are the same."""
    from pytorch_metric_learning.losses import NTXentLoss

    slow, fast = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()

    expected = NTXentLoss(temperature=0.2)(slow, CLASSES)
    actual = ranking(loss="n-pair", temperature=0.2).loss(fast, CLASSES)
    expected.backward()
    actual.backward()

    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-4, atol=1e-5)


def test_an_anchor_without_mined_negatives_has_no_loss(vectors) -> None:
    """And its gradient is a number; infinity would make it none."""
    leaf = vectors.clone().requires_grad_()
    indices = tuple(map(torch.tensor, ([0, 3], [1, 4], [3, 3], [0, 6])))

    actual = ranking(loss="n-pair").loss(leaf, CLASSES, indices)
    actual.backward()

    a, p, n, m = leaf[3], leaf[4], leaf[0], leaf[6]
    gaps = torch.stack([a @ n - a @ p, a @ m - a @ p]) / 0.07
    torch.testing.assert_close(actual, gaps.exp().sum().log1p() / 2)
    assert torch.isfinite(leaf.grad).all()


def as_sets(indices):
    """Return pairs or triplets as sets of tuples, and check that none is there twice."""
    columns = [column.tolist() for column in indices]
    groups = [columns] if len(columns) == 3 else [columns[:2], columns[2:]]
    found = [Counter(zip(*group, strict=True)) for group in groups]
    assert all(count == 1 for one in found for count in one.values())
    return [set(one) for one in found]


def test_semi_hard_triplets_are_facenets(vectors) -> None:
    """Farther than the positive, nearer than the positive and the margin."""
    (actual,) = as_sets(ranking(loss="triplet", margin=0.5).mine(vectors, CLASSES))

    assert actual == set(loops.semi_hard(vectors.tolist(), CLASSES.tolist(), 0.5))
    assert 0 < len(actual) < len(loops.triplets(CLASSES.tolist()))


def test_semi_hard_pairs_are_those_of_the_triplets(vectors) -> None:
    """Counted once each; a cosine margin of 0.1 is FaceNet's 0.2 of squared distances."""
    near, far = as_sets(ranking(loss="contrastive", miner="semi-hard").mine(vectors, CLASSES))

    expected = loops.semi_hard(vectors.tolist(), CLASSES.tolist(), 0.2)
    assert near == {(a, p) for a, p, _ in expected}
    assert far == {(a, n) for a, _, n in expected}


def test_hard_triplets_are_the_extremes_of_each_anchor(vectors) -> None:
    """Batch hard, of Hermans et al."""
    (actual,) = as_sets(ranking(loss="triplet", miner="hard").mine(vectors, CLASSES))

    assert actual == set(loops.hard(vectors.tolist(), CLASSES.tolist()))


@pytest.mark.parametrize("loss", ["contrastive", "n-pair", "multi-similarity"])
def test_hard_pairs_are_those_of_the_triplets(loss, vectors) -> None:
    """Losses over pairs take both sides."""
    near, far = as_sets(ranking(loss=loss, miner="hard").mine(vectors, CLASSES))

    expected = loops.hard(vectors.tolist(), CLASSES.tolist())
    assert near == {(a, p) for a, p, _ in expected}
    assert far == {(a, n) for a, _, n in expected}


def test_random_draws_one_negative_for_each_positive_pair(vectors) -> None:
    """As many of one kind as of the other, and classes kept apart."""
    torch.manual_seed(1)

    a, p, b, n = ranking(loss="contrastive", miner="random").mine(vectors, CLASSES)

    assert sorted(zip(a.tolist(), p.tolist(), strict=True)) == loops.positive_pairs(
        CLASSES.tolist()
    )
    assert torch.equal(a, b)
    assert (CLASSES[b] != CLASSES[n]).all()


def test_random_looks_at_no_vector() -> None:
    """Every negative comes up about as often as the others, near or far."""
    torch.manual_seed(1)
    made = ranking(loss="triplet", miner="random")
    spread = torch.nn.functional.normalize(torch.randn(len(CLASSES), DIM), dim=1)

    drawn = torch.cat([made.mine(spread, CLASSES)[2][:2] for _ in range(900)])

    counts = torch.bincount(drawn, minlength=len(CLASSES))
    assert counts[:3].sum() == 0
    assert (abs(counts[3:] - 200) < 75).all()


def test_multi_similarity_pairs_are_not_all(vectors) -> None:
    """The miner leaves easy pairs out; with all pairs the loss is another."""
    mined = loss_of(ranking(loss="multi-similarity"), vectors)
    everything = loss_of(ranking(loss="multi-similarity", miner="none"), vectors)

    assert mined != everything


@pytest.mark.parametrize(
    ("options", "positive_margin"),
    [({}, 1.0), ({"positive_margin": 0.9}, 0.9), ({"margin": 0.2}, 1.0), ({"miner": "random"}, 1)],
)
def test_light_pairs_are_those_without_loss(options, positive_margin, vectors) -> None:
    """Positives count only where they can be light at all."""
    made = ranking(loss="contrastive", **options)
    indices = made.mine(vectors, CLASSES)

    actual = made.light(made.loss, vectors, CLASSES, indices)

    pairs = loops.positive_pairs(CLASSES.tolist()), loops.negative_pairs(CLASSES.tolist())
    if indices is not None:
        pairs = tuple(
            zip(*(i.tolist() for i in half), strict=True) for half in (indices[:2], indices[2:])
        )
    near = [loops.dot(vectors[i], vectors[j]) >= positive_margin for i, j in pairs[0]]
    far = [loops.dot(vectors[i], vectors[j]) <= options.get("margin", 0.5) for i, j in pairs[1]]
    expected = [*(near if positive_margin < 1 else []), *far]
    assert 0 < actual < 1
    assert actual == pytest.approx(sum(expected) / len(expected))


@pytest.mark.parametrize("miner", ["none", "random", "hard"])
def test_light_triplets_are_those_without_loss(miner, vectors) -> None:
    """Of the triplets that the miner chose."""
    made = ranking(loss="triplet", miner=miner)
    indices = made.mine(vectors, CLASSES)
    chosen = loops.triplets(CLASSES.tolist())
    if indices is not None:
        chosen = list(zip(*(column.tolist() for column in indices), strict=True))

    actual = made.light(made.loss, vectors, CLASSES, indices)

    violations = loops.triplet_violations(vectors.tolist(), chosen, 0.2)
    assert 0 < actual < 1
    assert actual == pytest.approx(np.mean([violation <= 0 for violation in violations]))


def test_nothing_chosen_has_no_share_of_light_pairs() -> None:
    """Classes that are far apart leave no semi-hard triplet."""
    corners = torch.eye(4)[CLASSES]
    made = make_ranking(TrainingRecipe(loss="triplet"), N_CLASSES, 4)
    indices = made.mine(corners, CLASSES)

    actual = made.light(made.loss, corners, CLASSES, indices)

    assert math.isnan(actual)
    assert float(made.loss(corners, CLASSES, indices)) == 0


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - {"contrastive", "triplet"}))
def test_losses_that_are_never_zero_have_no_light_pairs(loss, vectors) -> None:
    """A share of 0 would claim that something was counted."""
    made = ranking(loss=loss)

    actual = made.light(made.loss, vectors, CLASSES, made.mine(vectors, CLASSES))

    assert math.isnan(actual)


def refusal(**options):
    """Return why the options do not go together; nothing where they do."""
    try:
        TrainingRecipe(**options)
    except SettingError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("miner", MINERS)
def test_a_miner_works_with_its_loss_or_is_refused(loss, miner, vectors) -> None:
    """No combination that ends in the middle of training."""
    refused = refusal(loss=loss, miner=miner)

    compares_with_centres = loss in {"arcface", "proxy-anchor", "cross-entropy"}
    needs_margin = miner == "semi-hard" and loss in {"n-pair", "multi-similarity"}
    if needs_margin or (compares_with_centres and miner not in {"auto", "none"}):
        assert f'miner = "{miner}" does not go with loss = "{loss}"' in refused
    else:
        assert loss_of(ranking(loss=loss, miner=miner), vectors) > 0


@pytest.mark.parametrize(
    ("option", "losses"),
    [
        ("margin", {"contrastive", "triplet", "arcface", "proxy-anchor", "multi-similarity"}),
        ("positive_margin", {"contrastive"}),
        ("temperature", {"n-pair", "cross-entropy"}),
        ("scale", {"arcface", "proxy-anchor", "multi-similarity"}),
    ],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_an_option_of_a_loss_does_something_or_is_refused(loss, option, losses, vectors) -> None:
    """An option without effect would be an axis of identical points."""
    refused = refusal(loss=loss, **{option: 0.4})

    if loss in losses:
        changed = loss_of(ranking(loss=loss, **{option: 0.4}), vectors)
        assert changed != loss_of(ranking(loss=loss), vectors)
    else:
        assert f'{option} = 0.4 does nothing with loss = "{loss}"' in refused


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rate_for_class_weights_needs_class_weights(loss) -> None:
    """Losses over pairs have no weights of their own."""
    has_weights = bool(list(ranking(loss=loss).loss.parameters()))

    assert bool(refusal(loss=loss, loss_learning_rate=0.4)) != has_weights
