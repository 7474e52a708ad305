"""The numbers that a recipe leaves open, once it is known what is trained and on what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cbir_bench.training.recipe import TrainingRecipe

_LEARNING_RATE: Final = 1e-2
_PRETRAINED_LEARNING_RATE: Final = 3e-4
"""Larger steps take weights that know something away from it faster than a loss leads them back."""
_LOSS_LEARNING_RATES: Final = {"arcface": 0.3, "proxy-anchor": 0.1, "cross-entropy": 0.3}
_PRETRAINED_LOSS_LEARNING_RATES: Final = {**_LOSS_LEARNING_RATES, "proxy-anchor": 3e-2}
"""The weights of classes start from nothing either way."""


def settled(recipe: TrainingRecipe, n_classes: int, *, pretrained: bool) -> TrainingRecipe:
    """Return the recipe with its own learning rates and batch in place of zeros; the rest stays as it is.

    Args:
        recipe: how a network is trained.
        n_classes: classes to train on.
        pretrained: whether training starts from weights that have learnt from images before.
    """
    own = _PRETRAINED_LOSS_LEARNING_RATES if pretrained else _LOSS_LEARNING_RATES
    rate = _PRETRAINED_LEARNING_RATE if pretrained else _LEARNING_RATE
    return replace(
        recipe,
        classes_per_batch=recipe.batch_classes_of(n_classes),
        images_per_class=recipe.batch_images,
        learning_rate=recipe.learning_rate or rate,
        loss_learning_rate=recipe.loss_learning_rate or own.get(recipe.loss, 0.0),
    )
