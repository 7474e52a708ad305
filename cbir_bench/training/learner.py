"""One training step after the other, and everything that the next one depends on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from cbir_bench.core.errors import SettingError
from cbir_bench.training.augment import augment
from cbir_bench.training.classes import Batches
from cbir_bench.training.objective import Objective, branches_of
from cbir_bench.training.precision import autocast, choose_precision, gradient_scaler
from cbir_bench.training.randomness import set_torch_random, torch_random
from cbir_bench.training.schedule import make_optimizer, rate_at, set_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.training.recipe import TrainingRecipe


class Step(NamedTuple):
    """What a step was like: its loss, the network's learning rate, and the share of light pairs."""

    loss: float
    rate: float
    light: float


class Learner:
    """Trains a network in place.

    Args:
        network: a ``Trainable``, which is moved to its device.
        recipe: how, with its numbers ``settled``.
        pixels: ``(n_images, 3, height, width)`` uint8.
        classes: ``(n_images,)`` from 0 without gaps.
        n_classes: how many.

    Raises:
        SettingError: if the recipe does not go with the network or its device.
    """

    def __init__(
        self,
        network: Any,
        recipe: TrainingRecipe,
        pixels: NDArray[np.uint8],
        classes: NDArray[np.int64],
        n_classes: int,
    ) -> None:
        import torch

        self.precision = choose_precision(recipe.precision, network.device)
        self._network, self._recipe = network, recipe
        self._pixels, self._classes = pixels, classes
        self._batches = Batches(classes, recipe)
        self._objective = Objective(network, recipe, n_classes)
        network.to(device=network.device, memory_format=torch.channels_last)
        self._objective.to(network.device)
        self._optimizer = make_optimizer(network, self._objective, recipe)
        self._scaler = gradient_scaler(self.precision)
        self._draws = torch.Generator().manual_seed(recipe.seed)

    def step(self, number: int) -> Step:
        """Take a step, counted from 0.

        Raises:
            SettingError: if the loss is no longer a number.
        """
        import torch

        recipe, device = self._recipe, self._network.device
        places = self._batches.of(number)
        images = augment(torch.from_numpy(self._pixels[places]).to(device), recipe, self._draws)
        classes = torch.from_numpy(self._classes[places]).to(device)
        with autocast(self.precision, device):
            branches = branches_of(self._network, images)
        loss, light = self._objective(branches, classes)
        value = _finite(loss.item(), number, recipe)
        share = rate_at(number, recipe)
        self._descend(loss, share)
        return Step(value, recipe.learning_rate * share, light)

    def set_training(self) -> None:
        """Put the network into training mode, but for batch norms that are frozen."""
        from torch.nn.modules.batchnorm import _BatchNorm

        self._network.train()
        if self._recipe.freeze_norm:
            for module in self._network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "network": self._network.state_dict(),
            "losses": self._objective.losses.state_dict(),
            "classifiers": self._objective.classifiers.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "draws": self._draws.get_state(),
            "torch_random": torch_random(self._network.device),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``state`` was called."""
        self._network.load_state_dict(state["network"])
        self._objective.losses.load_state_dict(state["losses"])
        self._objective.classifiers.load_state_dict(state["classifiers"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._draws.set_state(state["draws"])
        set_torch_random(state["torch_random"], self._network.device)

    def _descend(self, loss: Any, share: float) -> None:
        from torch.nn.utils import clip_grad_norm_

        set_rate(self._optimizer, share)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        if self._recipe.clip_norm:
            self._scaler.unscale_(self._optimizer)
            clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()


def _finite(loss: float, number: int, recipe: TrainingRecipe) -> float:
    if not math.isfinite(loss):
        raise SettingError(
            f"The {recipe.loss} loss became {loss} at step {number + 1} of {recipe.steps} with "
            f"learning_rate = {recipe.learning_rate}. Lower it, raise warmup, or set clip_norm."
        )
    return loss
