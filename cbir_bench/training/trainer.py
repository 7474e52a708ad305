"""One trainer for every network: batches of classes, a metric-learning loss, AdamW, a cosine schedule."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import hash_array
from cbir_bench.training.classes import choose_material
from cbir_bench.training.history import History
from cbir_bench.training.learner import Learner
from cbir_bench.training.log import TrainingLog, Validation, learns
from cbir_bench.training.pixels import resized_images
from cbir_bench.training.precision import choose_precision
from cbir_bench.training.randomness import repeatable
from cbir_bench.training.settled import settled
from cbir_bench.training.state import StateFile, fingerprint
from cbir_bench.training.store import TRAINING_VERSION
from cbir_bench.training.validation import Validator

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.training.classes import Material
    from cbir_bench.training.pixels import Resized
    from cbir_bench.training.recipe import TrainingRecipe
    from cbir_bench.training.validation import Score


_NOT_LEARNT: Final = "the loss did not fall: lower learning_rate"


class TrainingProgress(Protocol):
    """Told how far training is."""

    def __call__(
        self, phase: str, n_done: int, n_total: int, loss: float, note: str = "", /
    ) -> None:
        """Take note: "images" read, or "steps" done with the last loss (NaN where there is none).

        The note is for people: the last validation, the share of light pairs, where training goes
        on from, and at the end whether nothing was learnt.
        """
        ...


def silent(phase: str, n_done: int, n_total: int, loss: float, note: str = "") -> None:
    """Say nothing about the progress."""


def train(
    network: Any,
    data: TrainingData,
    recipe: TrainingRecipe,
    progress: TrainingProgress = silent,
    *,
    score: Score | None = None,
    saved: Path | None = None,
) -> TrainingLog:
    """Train a network in place on the training split and leave it in evaluation mode.

    On a CPU the same seed, number of threads and versions give the same weights to the bit, whether
    training was stopped and resumed in between or not. Where validations are asked for, the
    weights of the best one are left in the network.

    Args:
        network: a torch module that is a ``Trainable``; its weights are where training starts.
        data: what is trained on, and validated on.
        recipe: how.
        progress: called after each batch of images and each step.
        score: scores held-out images; without it nothing is validated.
        saved: a file that training goes on from if it holds the state of the same training, and
            keeps its state in; whoever calls deletes it when the weights are safe.

    Returns:
        The loss of every step, the validations, and what it took.

    Raises:
        SettingError: if recipe, network and data do not go together, or the loss is no longer a number.
        DataError: if there is nothing to learn from, an image cannot be read, or the state
            cannot be saved.
    """
    material = choose_material(data, recipe)
    if recipe.validate_every and score is None:
        raise SettingError(
            f"validate_every = {recipe.validate_every} needs a score. Give train() one, or set it to 0."
        )
    pretrained = getattr(network, "pretrained", False)
    recipe = settled(recipe, material.training.n_classes, pretrained=pretrained)
    validation = material.validation if score is not None else None
    rows = [material.training.rows, *([] if validation is None else [validation.rows])]
    chosen = np.concatenate(rows)
    began = time.perf_counter()

    def on_batch(n_done: int) -> None:
        progress("images", n_done, len(chosen), math.nan, "")

    with resized_images(data.images, chosen, network, on_batch) as images:
        read_seconds = time.perf_counter() - began
        with repeatable(recipe.seed, recipe.n_threads, network.device):
            run = _Run(network, recipe, images=images, material=material, score=score, saved=saved)
            run.resume(progress)
            run.finish(progress)
    return run.log(material, round(read_seconds, 3))


class _Run:
    """A training run between its first step and its last."""

    def __init__(
        self,
        network: Any,
        recipe: TrainingRecipe,
        *,
        images: Resized,
        material: Material,
        score: Score | None,
        saved: Path | None,
    ) -> None:
        training, held = material.training, material.validation
        n_training = len(training.rows)
        pixels = images.pixels
        identity = _identity(network, recipe, images, material) if saved is not None else {}
        self._network, self._recipe = network, recipe
        self._learner = Learner(
            network, recipe, pixels[:n_training], training.classes, training.n_classes
        )
        self._validator = None
        if held is not None and score is not None:
            self._validator = Validator(pixels[n_training:], held.classes, score)
        self._file = None if saved is None else StateFile(saved, identity)
        self._history = History()
        self._best: dict[str, Any] = {}

    def resume(self, progress: TrainingProgress) -> None:
        """Go on from the saved state, if there is one to go on from."""
        if self._file is None:
            return
        state, note = self._file.load()
        if state is not None:
            self._learner.restore(state["learner"])
            self._history = History.resumed(state["history"])
            self._best = state["best"]
            note = f"goes on after step {self._history.n_steps}"
        if note:
            progress("steps", self._history.n_steps, self._recipe.steps, math.nan, note)

    def finish(self, progress: TrainingProgress) -> None:
        """Take the steps that are left, and leave the best weights in the network."""
        history, recipe = self._history, self._recipe
        self._learner.set_training()
        while not history.is_over(recipe.steps, recipe.patience):
            with history.stepping():
                step = self._learner.step(history.n_steps)
            history.add(step)
            validates = self._validates()
            if validates:
                self._validate()
            progress("steps", history.n_steps, recipe.steps, step.loss, self._note())
            if self._file is not None and (validates or self._file.is_due()):
                self._file.save(self._state())
        if self._best:
            self._network.load_state_dict(self._best)
        self._network.eval()

    def log(self, material: Material, read_seconds: float) -> TrainingLog:
        """Return what the run did."""
        history, recipe = self._history, self._recipe
        best = history.validations[history.best]["step"] if self._best else history.n_steps
        return TrainingLog(
            losses=tuple(history.losses),
            learning_rates=tuple(history.rates),
            light=tuple(history.light),
            validations=tuple(history.validations),
            best_step=best,
            stopped_early=history.stopped_early(recipe.steps, recipe.patience),
            seconds=round(history.seconds, 3),
            cpu_seconds=round(history.cpu_seconds, 3),
            validation_seconds=round(history.validation_seconds, 3),
            read_seconds=read_seconds,
            n_images=len(material.training.rows),
            n_classes=material.training.n_classes,
            n_left_out=material.training.n_left_out,
            n_held_out=material.n_held_out,
            n_resumed=history.n_resumed,
            device=self._network.device,
            precision=self._learner.precision,
        )

    def _note(self) -> str:
        """Return what progress says of the step that was just taken, and at the end of all of them."""
        history, recipe = self._history, self._recipe
        is_over = history.is_over(recipe.steps, recipe.patience)
        learnt = not is_over or learns(history.losses, history.light)
        return ", ".join(part for part in (history.note(), "" if learnt else _NOT_LEARNT) if part)

    def _validates(self) -> bool:
        """Whether the step that was just taken is followed by a validation."""
        n_steps, every = self._history.n_steps, self._recipe.validate_every
        is_time = n_steps == self._recipe.steps or (every > 0 and n_steps % every == 0)
        return self._validator is not None and is_time

    def _validate(self) -> None:
        """Score the held-out images, and keep the weights where they are the best so far."""
        history = self._history
        with history.validating():
            scores = self._validator.scores(self._network) if self._validator else {}
        history.validations.append(Validation(step=history.n_steps, scores=scores))
        if self._recipe.validate_every and history.best == len(history.validations) - 1:
            weights = self._network.state_dict()
            self._best = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        self._learner.set_training()

    def _state(self) -> dict[str, Any]:
        return {
            "learner": self._learner.state(),
            "history": self._history.state(),
            "best": self._best,
        }


def _identity(
    network: Any, recipe: TrainingRecipe, images: Resized, material: Material
) -> dict[str, Any]:
    """Return everything that decides the weights, so that a state of another training is never used."""
    import torch

    held = material.validation
    nothing: NDArray[np.int64] = np.empty(0, np.int64)
    return {
        "training_version": TRAINING_VERSION,
        "torch": torch.__version__,
        "pytorch_metric_learning": version("pytorch-metric-learning"),
        "recipe": asdict(recipe),
        "device": network.device,
        "precision": choose_precision(recipe.precision, network.device),
        "weights": fingerprint(network.state_dict()),
        "pixels": images.sha256,
        "classes": hash_array(material.training.classes),
        "held_out_classes": hash_array(nothing if held is None else held.classes),
    }
