"""The ranking losses, by name, from pytorch-metric-learning; each with its miner and its light pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cbir_bench.training.light import light_pairs, light_triplets, no_light
from cbir_bench.training.miners import make_miner

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.training.recipe import TrainingRecipe


class Ranking(NamedTuple):
    """A ranking loss with all that belongs to it.

    Attributes:
        loss: a module of ``(vectors, classes, indices)``; its parameters are trained, too.
        mine: gives the indices of pairs or triplets in a batch; None stands for all of them.
        light: gives the share of those with zero loss.
    """

    loss: Any
    mine: Callable[[Any, Any], Any]
    light: Callable[[Any, Any, Any, Any], float]


def make_ranking(recipe: TrainingRecipe, n_classes: int, dim: int) -> Ranking:
    """Return the recipe's loss for vectors of length 1.

    Contrastive and triplet losses are means over the pairs or triplets whose loss is not zero, as
    pytorch-metric-learning takes them: light pairs slow learning down by their number in the batch,
    not by shrinking the mean.

    Args:
        recipe: names the loss and its options.
        n_classes: classes that are trained on, for losses that keep a weight for each.
        dim: length of the vectors, likewise.
    """
    makers: dict[str, Callable[[TrainingRecipe, int, int], Any]] = {
        "multi-similarity": _multi_similarity,
        "contrastive": _contrastive,
        "triplet": _triplet,
        "n-pair": _n_pair,
        "arcface": _arcface,
        "proxy-anchor": _proxy_anchor,
        "cross-entropy": _cross_entropy,
    }
    light = {"contrastive": light_pairs, "triplet": light_triplets}.get(recipe.loss, no_light)
    loss = makers[recipe.loss](recipe, n_classes, dim)
    return Ranking(loss, make_miner(recipe, loss), light)


def _multi_similarity(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:  # noqa: ARG001
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    return MultiSimilarityLoss(alpha=2, beta=recipe.scale or 50, base=recipe.margin or 0.5)


def _contrastive(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:  # noqa: ARG001
    """Return Hadsell's loss with cosines for distances: positives are pulled up, negatives pushed down."""
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import ContrastiveLoss

    return ContrastiveLoss(
        pos_margin=recipe.positive_margin or 1.0,
        neg_margin=recipe.margin or 0.5,
        distance=CosineSimilarity(),
    )


def _triplet(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:  # noqa: ARG001
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss

    return TripletMarginLoss(margin=recipe.margin or 0.2, distance=LpDistance(p=2, power=2))


def _n_pair(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:  # noqa: ARG001
    from cbir_bench.training.tuplet import TupletLoss

    return TupletLoss(temperature=recipe.temperature or 0.07)


def _arcface(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:
    from math import degrees

    from pytorch_metric_learning.losses import ArcFaceLoss

    margin = degrees(recipe.margin or 0.3)
    return ArcFaceLoss(n_classes, dim, margin=margin, scale=recipe.scale or 16)


def _proxy_anchor(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:
    from pytorch_metric_learning.losses import ProxyAnchorLoss

    margin, alpha = recipe.margin or 0.1, recipe.scale or 8
    return ProxyAnchorLoss(n_classes, dim, margin=margin, alpha=alpha)


def _cross_entropy(recipe: TrainingRecipe, n_classes: int, dim: int) -> Any:
    from pytorch_metric_learning.losses import NormalizedSoftmaxLoss

    return NormalizedSoftmaxLoss(n_classes, dim, temperature=recipe.temperature or 0.1)
