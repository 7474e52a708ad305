"""The trainer: it learns, repeats itself to the bit, and refuses what cannot work."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from cbir_bench.core.component import field_types
from cbir_bench.core.errors import SettingError
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train

SMALL = {"steps": 12, "classes_per_batch": 4, "images_per_class": 2, "n_threads": 1}
LOSSES = get_args(field_types(TrainingRecipe)["loss"])


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(a, b):
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_gathers_the_classes(loss, make_dataset, make_network) -> None:
    """After training, images of one class are nearer to each other than to the rest."""
    data = make_dataset(*[6] * 8)
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


@pytest.mark.parametrize(
    "options", [{}, {"flip": True, "zoom": 0.1, "colour": 0.2}, {"loss": "arcface"}]
)
def test_the_same_seed_gives_the_same_weights_to_the_bit(
    options, make_dataset, make_network
) -> None:
    """A checkpoint is addressed by what made it, so that must decide it."""
    recipe = TrainingRecipe(**SMALL | options)
    networks = [make_network(), make_network()]

    logs = []
    for i, network in enumerate(networks):
        torch.manual_seed(i)  # noise from outside must not matter
        np.random.seed(i)  # noqa: NPY002
        logs.append(train(network, make_dataset(*[6] * 8), recipe))

    assert_same(weights(networks[0]), weights(networks[1]))
    assert logs[0].losses == logs[1].losses


@pytest.mark.parametrize("options", [{"seed": 1}, {"colour": 0.2}, {"flip": True, "zoom": 0.2}])
def test_another_seed_or_augmentation_gives_other_weights(
    options, make_dataset, make_network
) -> None:
    """An option that does nothing would be an axis of identical points."""
    plain, other = make_network(), make_network()

    plain_log = train(plain, make_dataset(*[6] * 8), TrainingRecipe(**SMALL))
    other_log = train(other, make_dataset(*[6] * 8), TrainingRecipe(**SMALL | options))

    assert plain_log.losses != other_log.losses


def test_draws_of_others_and_threads_are_left_alone(make_dataset, make_network) -> None:
    """Training inside a larger program must not change what it draws or how fast it runs."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()

    train(
        make_network(), make_dataset(*[6] * 8), TrainingRecipe(**SMALL | {"n_threads": threads + 1})
    )

    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads


def test_only_the_training_split_is_read_and_once(make_dataset, make_network) -> None:
    """A model that saw the test images would win every comparison."""
    data = make_dataset(*[20] * 8)

    train(make_network(), data, TrainingRecipe(**SMALL))

    assert sorted(data.images.seen) == list(range(160))


def test_a_class_with_a_single_image_is_left_out_and_counted(make_dataset, make_network) -> None:
    """It has no pair to learn from."""
    data = make_dataset(3, 1, 3, 3, 1, 3)

    log = train(make_network(), data, TrainingRecipe(**SMALL))

    assert (log.n_images, log.n_classes, log.n_left_out) == (12, 4, 2)


def test_items_with_the_same_labels_are_one_class(make_dataset, make_network) -> None:
    """With a fine and a coarse label each, the fine ones are learned."""
    coarse_and_fine = [("coarse", f"fine{i // 5}") for i in range(20)] + [("x", "y")] * 5

    log = train(
        make_network(), make_dataset(*[5] * 4, labels=coarse_and_fine), TrainingRecipe(**SMALL)
    )

    assert log.n_classes == 4


@pytest.mark.parametrize("counts", [(6, 6, 6), (1,) * 9, ()])
def test_too_few_classes_are_refused_with_both_numbers(counts, make_dataset, make_network) -> None:
    """pytorch-metric-learning would stop at an assertion."""
    n_classes = sum(count > 1 for count in counts)
    expected = f"needs 4 classes, but the training split has {n_classes} with at least two images"

    with pytest.raises(SettingError, match=expected):
        train(make_network(), make_dataset(*counts), TrainingRecipe(**SMALL))


def test_a_loss_that_is_no_number_stops_with_its_step(make_dataset, make_network) -> None:
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
        train(network, make_dataset(*[6] * 8), TrainingRecipe(**SMALL | {"loss": "n-pair"}))


def test_progress_tells_images_and_steps(make_dataset, make_network) -> None:
    """The time left is computed from it."""
    told = []

    log = train(
        make_network(),
        make_dataset(*[20] * 8),
        TrainingRecipe(**SMALL),
        lambda *event: told.append(event),
    )

    images = [event[1:3] for event in told if event[0] == "images"]
    steps = [event[1:] for event in told if event[0] == "steps"]
    assert images == [(64, 160), (128, 160), (160, 160)]
    assert steps == [(i + 1, 12, loss) for i, loss in enumerate(log.losses)]


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    """The last steps settle; the first ones do not tear the weights apart."""
    from cbir_bench.training.trainer import _rate

    rate = _rate(TrainingRecipe(steps=100, warmup=0.1))
    rates = [rate(step) for step in range(101)]

    assert np.argmax(rates) == 10
    assert rates[10] == 1
    assert 0 < rates[0] < 0.1
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert all(np.diff(rates[:11]) > 0)
    assert all(np.diff(rates[10:]) < 0)


def test_the_network_ends_in_evaluation_mode(make_dataset, make_network) -> None:
    """Dropout and batch statistics belong to training alone."""
    network = make_network()

    train(network, make_dataset(*[6] * 8), TrainingRecipe(**SMALL))

    assert not any(module.training for module in network.modules())


def test_images_beyond_the_memory_limit_live_in_a_file(
    make_dataset, make_network, monkeypatch
) -> None:
    """The same weights come out, whatever the data set's size."""
    from cbir_bench.training import pixels

    in_memory, in_file = make_network(), make_network()
    train(in_memory, make_dataset(*[6] * 8), TrainingRecipe(**SMALL))
    monkeypatch.setattr(pixels, "_IN_MEMORY_BYTES", 0)

    train(in_file, make_dataset(*[6] * 8), TrainingRecipe(**SMALL))

    assert_same(weights(in_memory), weights(in_file))
