"""The trainer: it learns, repeats itself to the bit, and refuses what cannot work."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from cbir_bench.core.component import field_types
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train

SMALL = {
    "steps": 12,
    "classes_per_batch": 4,
    "images_per_class": 2,
    "learning_rate": 5e-3,
    "n_threads": 1,
}
LOSSES = get_args(field_types(TrainingRecipe)["loss"])


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(a, b):
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_gathers_the_classes(loss, make_data, make_network) -> None:
    """After training, images of one class are nearer to each other than to the rest."""
    data = make_data(*[6] * 8)
    recipe = TrainingRecipe(**SMALL | {"loss": loss, "steps": 60, "learning_rate": 0.02})
    pixels = torch.from_numpy(make_network().prepare(data.images.read(list(range(48)))))
    same = np.arange(48)[:, None] // 6 == np.arange(48) // 6

    def gap(network):
        with torch.inference_mode():
            similarity = network.eval()(pixels.float()) @ network(pixels.float()).T
        return float(similarity[same].mean() - similarity[~same].mean())

    network = make_network()
    before = gap(network)
    log = train(network, data, recipe)

    assert gap(network) > before + 0.1
    assert len(log.losses) == 60
    assert log.learnt


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip": True, "zoom": 0.1, "colour": 0.2},
        {"loss": "arcface"},
        {"loss": "contrastive", "miner": "random"},
        {"loss": "triplet", "miner": "none", "n_threads": 2, "classes_per_batch": 24},
        {"precision": "bfloat16"},
    ],
)
def test_the_same_seed_gives_the_same_weights_to_the_bit(options, make_data, make_network) -> None:
    """A checkpoint is addressed by what made it, so that must decide it."""
    recipe = TrainingRecipe(**SMALL | options)
    networks = [make_network(), make_network()]

    logs = []
    for i, network in enumerate(networks):
        torch.manual_seed(i)  # noise from outside must not matter
        np.random.seed(i)  # noqa: NPY002
        logs.append(train(network, make_data(*[4] * 24), recipe))

    assert_same(weights(networks[0]), weights(networks[1]))
    assert logs[0].losses == logs[1].losses


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"colour": 0.2},
        {"flip": True, "zoom": 0.2},
        {"backbone_rate": 0.1},
        {"clip_norm": 1e-3},
        {"freeze_norm": True},
        {"warmup": 0.5},
        {"weight_decay": 1.0},
        {"precision": "bfloat16"},
        {"held_out": 0.3},
        {"miner": "none"},
    ],
    ids=str,
)
def test_every_option_changes_the_weights(options, make_data, make_network) -> None:
    """An option that does nothing would be an axis of identical points."""
    plain, other = make_network(), make_network()

    train(plain, make_data(*[6] * 8), TrainingRecipe(**SMALL))
    train(other, make_data(*[6] * 8), TrainingRecipe(**SMALL | options))

    assert not torch.equal(plain.head.weight, other.head.weight)


def test_draws_of_others_and_threads_are_left_alone(make_data, make_network) -> None:
    """Training inside a larger program must not change what it draws or how fast it runs."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()

    train(make_network(), make_data(*[6] * 8), TrainingRecipe(**SMALL | {"n_threads": threads + 1}))

    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads


def test_only_the_training_split_is_read_and_once(make_data, make_network) -> None:
    """A model that saw the test images would win every comparison."""
    data = make_data(*[20] * 8, val=(5, 5))

    train(make_network(), data, TrainingRecipe(**SMALL))

    assert sorted(data.images.seen) == list(range(160))


def test_a_class_with_a_single_image_is_left_out_and_counted(make_data, make_network) -> None:
    """It has no pair to learn from."""
    data = make_data(3, 1, 3, 3, 1, 3)

    log = train(make_network(), data, TrainingRecipe(**SMALL))

    assert (log.n_images, log.n_classes, log.n_left_out) == (12, 4, 2)


def test_items_with_the_same_labels_are_one_class(make_data, make_network) -> None:
    """With a fine and a coarse label each, the fine ones are learned."""
    coarse_and_fine = [("coarse", f"fine{i // 5}") for i in range(20)]

    log = train(
        make_network(), make_data(*[5] * 4, labels=coarse_and_fine), TrainingRecipe(**SMALL)
    )

    assert log.n_classes == 4


def test_too_few_classes_are_refused_with_both_numbers(make_data, make_network) -> None:
    """pytorch-metric-learning would stop at an assertion."""
    expected = (
        r"needs 4 classes, but the training split has 3 .* Set classes_per_batch to 3 or less"
    )

    with pytest.raises(SettingError, match=expected):
        train(make_network(), make_data(6, 6, 6), TrainingRecipe(**SMALL))


def test_a_single_class_is_refused_with_the_only_way_out(make_data, make_network) -> None:
    """A smaller batch would not help: there is no negative."""
    with pytest.raises(
        SettingError, match=r"has 1 with at least two images\. Train on more classes"
    ):
        train(make_network(), make_data(6, 1), TrainingRecipe(**SMALL))


@pytest.mark.parametrize(
    ("counts", "held_out", "message"),
    [
        (
            (6, 6),
            0.5,
            r"has 0 .* left, as held_out = 0\.5 keeps 2 aside\. Set held_out to a smaller share or to 0, or",
        ),
        (
            (6,) * 5,
            0.4,
            r"has 3 .* keeps 2 aside\. Set classes_per_batch to 3 or less, or set held_out",
        ),
        ((6,), 0.5, r"has 0 .* keeps 1 aside\. "),
    ],
)
def test_fewer_held_out_classes_are_a_way_out(
    counts, held_out, message, make_data, make_network
) -> None:
    """More classes are not at hand; those kept aside are."""
    with pytest.raises(SettingError, match=message):
        train(make_network(), make_data(*counts), TrainingRecipe(**SMALL, held_out=held_out))


def test_a_validation_split_leaves_all_classes(make_data, make_network) -> None:
    """No class is held out then, and none could be given back."""
    data = make_data(6, 6, 6, val=(3, 3))

    with pytest.raises(
        SettingError, match=r"two images\. Set classes_per_batch to 3 or less, or train"
    ):
        train(make_network(), data, TrainingRecipe(**SMALL, held_out=0.2))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((1,) * 9, r"Each of the 9 training images of 'colours' is the only one of its class"),
        ((), r"'colours' has no training images"),
    ],
)
def test_nothing_to_learn_from_is_said(counts, message, make_data, make_network) -> None:
    """Each with what to do."""
    with pytest.raises(DataError, match=message + r".* Give "):
        train(make_network(), make_data(*counts), TrainingRecipe(**SMALL))


def test_a_loss_that_is_no_number_stops_with_its_step(make_data, make_network) -> None:
    """Without it, hours go into weights of NaN."""
    network = make_network()

    def explode(module, args, output):
        return output * torch.nan if len(steps) > 4 else output

    steps = []
    network.register_forward_hook(lambda *args: steps.append(1))
    network.register_forward_hook(explode)

    with pytest.raises(
        SettingError, match=r"loss became nan at step 5 of 12 with learning_rate = 0\.005"
    ):
        train(network, make_data(*[6] * 8), TrainingRecipe(**SMALL | {"loss": "n-pair"}))


def test_progress_tells_images_and_steps(make_data, make_network) -> None:
    """The time left is computed from it."""
    told = []

    log = train(
        make_network(),
        make_data(*[20] * 8),
        TrainingRecipe(**SMALL | {"loss": "n-pair", "steps": 60, "learning_rate": 0.02}),
        lambda *event: told.append(event),
    )

    images = [event[1:3] for event in told if event[0] == "images"]
    steps = [event[1:] for event in told if event[0] == "steps"]
    assert images == [(64, 160), (128, 160), (160, 160)]
    assert steps == [(i + 1, 60, loss, "") for i, loss in enumerate(log.losses)]


def notes(data, network, recipe, **options):
    """Return the log of a training, and the notes on its steps."""
    told = []
    log = train(network, data, recipe, lambda *event: told.append(event), **options)
    return log, [event[4] for event in told if event[0] == "steps"]


def test_progress_says_at_the_end_that_the_loss_did_not_fall(make_data, make_network) -> None:
    """Ruined weights still give vectors, and nobody looks at a curve that nothing points to."""
    recipe = TrainingRecipe(**SMALL | {"loss": "n-pair", "learning_rate": 10, "warmup": 0})

    log, actual = notes(make_data(*[6] * 8), make_network(), recipe)

    assert not log.learnt
    assert actual == [""] * 11 + ["the loss did not fall: lower learning_rate"]


def test_the_advice_stands_beside_the_last_validation(make_data, make_network) -> None:
    """Where training ends early, too."""
    options = SMALL | {"loss": "n-pair", "learning_rate": 10, "warmup": 0}
    recipe = TrainingRecipe(**options, validate_every=2, patience=1)

    log, actual = notes(
        make_data(*[6] * 8, val=(3, 3)), make_network(), recipe, score=lambda v, c: {"ap": 0.5}
    )

    assert log.stopped_early
    assert actual[-1] == "ap 0.500, the loss did not fall: lower learning_rate"
    assert not any("fall" in note for note in actual[:-1])


def test_the_network_ends_in_evaluation_mode(make_data, make_network) -> None:
    """Dropout and batch statistics belong to training alone."""
    network = make_network()

    train(network, make_data(*[6] * 8), TrainingRecipe(**SMALL))

    assert not any(module.training for module in network.modules())


def test_images_beyond_the_memory_limit_live_in_a_file(
    make_data, make_network, monkeypatch
) -> None:
    """The same weights come out, whatever the data set's size."""
    from cbir_bench.training import pixels

    in_memory, in_file = make_network(), make_network()
    train(in_memory, make_data(*[6] * 8), TrainingRecipe(**SMALL))
    monkeypatch.setattr(pixels, "_IN_MEMORY_BYTES", 0)

    train(in_file, make_data(*[6] * 8), TrainingRecipe(**SMALL))

    assert_same(weights(in_memory), weights(in_file))


def test_random_pairs_turn_light_and_hard_ones_less_so(make_data, make_network) -> None:
    """The classic collapse: what is drawn by lot is soon in order already, and teaches nothing."""
    options = SMALL | {"loss": "contrastive", "steps": 120, "learning_rate": 0.02}
    light = {}

    for miner in ("random", "hard"):
        recipe = TrainingRecipe(**options, miner=miner)
        light[miner] = train(make_network(), make_data(*[6] * 8), recipe).light

    first, last = np.mean(light["random"][:5]), np.mean(light["random"][-20:])
    assert last > 0.9
    assert first < last - 0.15
    assert np.mean(light["hard"][-20:]) < last - 0.1


def test_frozen_norms_keep_their_statistics_and_learn_their_scale(make_data, make_network) -> None:
    """The statistics of pretrained weights are better than those of a batch of four."""
    network, other = make_network(), make_network()
    recipe = SMALL | {"steps": 3}
    before = weights(network)

    train(network, make_data(*[6] * 8), TrainingRecipe(**recipe, freeze_norm=True))
    train(other, make_data(*[6] * 8), TrainingRecipe(**recipe))

    after = weights(network)
    for name in ("backbone.1.running_mean", "backbone.1.running_var"):
        assert torch.equal(after[name], before[name])
        assert not torch.equal(weights(other)[name], before[name])
    assert not torch.equal(after["backbone.1.weight"], before["backbone.1.weight"])


def test_the_backbone_learns_at_a_rate_of_its_own(make_data, make_network) -> None:
    """AdamW's first step is as long as the rate, so the step shows the rate."""
    network = make_network()
    before = weights(network)
    recipe = TrainingRecipe(
        **SMALL | {"steps": 1, "warmup": 0, "weight_decay": 0, "backbone_rate": 0.01}
    )

    train(network, make_data(*[6] * 8), recipe)

    moved = {name: abs(tensor - before[name]).max() for name, tensor in weights(network).items()}
    assert moved["head.weight"] == pytest.approx(5e-3, rel=0.05)
    assert moved["backbone.0.weight"] == pytest.approx(5e-5, rel=0.05)


def test_a_rate_for_a_backbone_that_is_not_there_is_refused(make_data, make_network) -> None:
    """It would change nothing."""
    network = make_network()
    network.layers = network.backbone
    del network.backbone
    network.features = lambda pixels: network.layers(pixels.float().mean(dim=(2, 3)) / 255)

    with pytest.raises(SettingError, match=r"backbone_rate = 0\.1 does nothing"):
        train(network, make_data(*[6] * 8), TrainingRecipe(**SMALL, backbone_rate=0.1))


def test_bfloat16_learns_and_leaves_float32_weights(make_data, make_network) -> None:
    """Only the forward pass is in it; the loss and what is kept are not."""
    network = make_network()
    recipe = TrainingRecipe(**SMALL | {"steps": 60, "learning_rate": 0.02, "precision": "bfloat16"})

    log = train(network, make_data(*[6] * 8), recipe)

    assert log.precision == "bfloat16"
    assert np.mean(log.losses[-10:]) < np.mean(log.losses[:10]) - 0.05
    assert all(t.dtype == torch.float32 for t in network.parameters())
    assert all(torch.isfinite(t).all() for t in network.state_dict().values())


def test_the_log_tells_what_training_did(make_data, make_network) -> None:
    """Curves have one value for each step."""
    log = train(make_network(), make_data(*[6] * 8, 1), TrainingRecipe(**SMALL, loss="triplet"))

    assert len(log.losses) == len(log.learning_rates) == len(log.light) == log.best_step == 12
    assert max(log.learning_rates) == 5e-3
    assert (log.n_images, log.n_classes, log.n_left_out, log.n_held_out) == (48, 8, 1, 0)
    assert (log.device, log.precision, log.n_resumed) == ("cpu", "float32", 0)
    assert log.seconds > 0
    assert log.cpu_seconds > 0
