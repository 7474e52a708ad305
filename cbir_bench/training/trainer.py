"""One trainer for every network: batches of classes, a metric-learning loss, AdamW, a cosine schedule."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from cbir_bench.core.errors import SettingError
from cbir_bench.training.augment import augment
from cbir_bench.training.classes import batches, training_items
from cbir_bench.training.log import TrainingLog
from cbir_bench.training.losses import make_objective
from cbir_bench.training.pixels import resized_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.training.losses import Objective
    from cbir_bench.training.recipe import TrainingRecipe


class Trainable(Protocol):
    """What the trainer needs of a torch module, besides being one.

    Attributes:
        dim: length of its vectors.
        device: where it is to be trained, "cpu" or "cuda".
    """

    dim: int
    device: str

    def prepare(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Return images of any size as ``(n, 3, height, width)`` uint8, all of one size."""
        ...

    def __call__(self, pixels: Any) -> Any:
        """Return ``(n, dim)`` vectors of length 1 of ``(n, 3, height, width)`` values in 0 to 255."""
        ...


class TrainingProgress(Protocol):
    """Told how far training is."""

    def __call__(self, phase: str, n_done: int, n_total: int, loss: float) -> None:
        """Take note: "images" read, or "steps" done with the last loss (NaN while reading)."""
        ...


def silent(phase: str, n_done: int, n_total: int, loss: float) -> None:
    """Say nothing about the progress."""


def train(
    network: Any,
    dataset: TrainingData,
    recipe: TrainingRecipe,
    progress: TrainingProgress = silent,
) -> TrainingLog:
    """Train a network in place on the training split and leave it in evaluation mode.

    On a CPU the same seed, number of threads and versions give the same weights to the bit.

    Args:
        network: a torch module that is a ``Trainable``; its weights are where training starts.
        dataset: only rows of ``Split.TRAIN`` are read.
        recipe: how.
        progress: called after each batch of images and each step.

    Returns:
        The loss of every step and what it took.

    Raises:
        SettingError: if the split is too small for a batch, or the loss is no longer a number.
        DataError: if an image cannot be read.
    """
    items = training_items(dataset)
    recipe.check(items.n_classes)
    n = len(items.rows)
    began = time.perf_counter()

    def on_batch(n_done: int) -> None:
        progress("images", n_done, n, math.nan)

    with resized_images(dataset.images, items.rows, network, on_batch) as pixels:
        read_seconds = time.perf_counter() - began
        began, cpu_began = time.perf_counter(), time.process_time()
        with _deterministic(recipe):
            objective = make_objective(recipe, items.n_classes, network.dim)
            steps = _fit(network, objective, pixels, items.classes, recipe)
            losses: list[float] = []
            for loss in steps:
                losses.append(loss)
                progress("steps", len(losses), recipe.steps, loss)
    return TrainingLog(
        losses=tuple(losses),
        seconds=round(time.perf_counter() - began, 3),
        cpu_seconds=round(time.process_time() - cpu_began, 3),
        read_seconds=round(read_seconds, 3),
        n_images=n,
        n_classes=items.n_classes,
        n_left_out=items.n_left_out,
        device=network.device,
    )


def _fit(
    network: Any,
    objective: Objective,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.int64],
    recipe: TrainingRecipe,
) -> Iterator[float]:
    """Take the steps, giving the loss of each."""
    import torch

    device = network.device
    network.to(device=device, memory_format=torch.channels_last).train()
    objective.loss.to(device)
    optimizer, schedule = _optimizer(network, objective.loss, recipe)
    draws = torch.Generator().manual_seed(recipe.seed)
    for step, places in enumerate(batches(classes, recipe)):
        images = augment(torch.from_numpy(pixels[places]).to(device), recipe, draws)
        targets = torch.from_numpy(classes[places]).to(device)
        with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            vectors = network(images)
        pairs = objective.miner(vectors, targets) if objective.miner else None
        loss = objective.loss(vectors, targets, pairs)
        value = _finite(loss.item(), step, recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield value
    network.eval()


def _optimizer(network: Any, loss: Any, recipe: TrainingRecipe) -> tuple[Any, Any]:
    """Return AdamW and its schedule; biases, norms and GeM's exponent are not decayed."""
    import torch

    weights = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        {
            "params": list(loss.parameters()),
            "lr": recipe.loss_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=recipe.learning_rate
    )
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe))


def _rate(recipe: TrainingRecipe) -> Callable[[int], float]:
    """Return the share of the peak learning rate at a step: a linear rise, then half a cosine."""
    n_warm = round(recipe.warmup * recipe.steps)

    def rate(step: int) -> float:
        if step < n_warm:
            return (step + 1) / (n_warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - n_warm) / (recipe.steps - n_warm)))

    return rate


def _finite(loss: float, step: int, recipe: TrainingRecipe) -> float:
    if not math.isfinite(loss):
        raise SettingError(
            f"The {recipe.loss} loss became {loss} at step {step + 1} of {recipe.steps} with "
            f"learning_rate = {recipe.learning_rate}. Lower it, or raise warmup."
        )
    return loss


@contextmanager
def _deterministic(recipe: TrainingRecipe) -> Iterator[None]:
    """Seed torch's own draws (dropout, class weights) and set the threads; both are put back."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.n_threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            yield
    finally:
        torch.set_num_threads(threads)
