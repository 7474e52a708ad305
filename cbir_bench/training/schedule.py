"""AdamW, its groups of weights, and the learning rate of each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cbir_bench.core.errors import SettingError

if TYPE_CHECKING:
    from cbir_bench.training.objective import Objective
    from cbir_bench.training.recipe import TrainingRecipe


def rate_at(step: int, recipe: TrainingRecipe) -> float:
    """Return the share of the peak learning rate at a step: a linear rise, then half a cosine to 0."""
    n_warm = round(recipe.warmup * recipe.steps)
    if step < n_warm:
        return (step + 1) / (n_warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - n_warm) / (recipe.steps - n_warm)))


def make_optimizer(network: Any, objective: Objective, recipe: TrainingRecipe) -> Any:
    """Return AdamW, each of its groups of weights with its highest rate as ``peak``.

    Biases, norms and GeM's exponent are not decayed, nor are the loss's own weights.

    Args:
        network: a ``Trainable``.
        objective: its losses.
        recipe: how, with its numbers ``settled``.

    Raises:
        SettingError: if the recipe slows a backbone down and the network has none.
    """
    import torch

    backbone = _backbone(network, recipe)
    inside = {id(p) for p in backbone.parameters()} if backbone is not None else set()
    weights = [p for p in network.parameters() if p.requires_grad]
    head = [p for p in weights if id(p) not in inside] + list(objective.classifiers.parameters())
    slow = recipe.learning_rate * recipe.backbone_rate
    groups = [
        *_decayed([p for p in weights if id(p) in inside], slow, recipe.weight_decay),
        *_decayed(head, recipe.learning_rate, recipe.weight_decay),
        {
            "params": list(objective.losses.parameters()),
            "peak": recipe.loss_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]])


def set_rate(optimizer: Any, share: float) -> None:
    """Set the learning rates to a share of their peaks."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _decayed(weights: list[Any], peak: float, decay: float) -> list[dict[str, Any]]:
    """Return two groups: matrices and kernels decay, all else does not."""
    return [
        {"params": [p for p in weights if p.ndim > 1], "peak": peak, "weight_decay": decay},
        {"params": [p for p in weights if p.ndim <= 1], "peak": peak, "weight_decay": 0.0},
    ]


def _backbone(network: Any, recipe: TrainingRecipe) -> Any:
    backbone = getattr(network, "backbone", None)
    if backbone is None and recipe.backbone_rate != 1:
        raise SettingError(
            f"backbone_rate = {recipe.backbone_rate} does nothing, since the network has no part called "
            "backbone. Set learning_rate instead."
        )
    return backbone
