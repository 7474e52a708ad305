"""The losses, by name, from pytorch-metric-learning, with the miner that their authors pair them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.training.recipe import TrainingRecipe


class Objective(NamedTuple):
    """A loss of ``(vectors, classes, pairs)`` and what chooses the pairs; None takes all of them."""

    loss: Any
    miner: Any


def make_objective(recipe: TrainingRecipe, n_classes: int, dim: int) -> Objective:
    """Return the recipe's loss for vectors of length 1.

    Args:
        recipe: names the loss.
        n_classes: classes of the training split, for losses that keep a weight for each.
        dim: length of the vectors, likewise.
    """
    from pytorch_metric_learning import distances, losses, miners

    def multi_similarity() -> Objective:
        miner = miners.MultiSimilarityMiner(epsilon=0.1)
        return Objective(losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5), miner)

    def contrastive() -> Objective:
        # Margins of cosine similarity: positives are pulled to 1, negatives pushed below 0.5.
        cosine = distances.CosineSimilarity()
        return Objective(
            losses.ContrastiveLoss(pos_margin=1, neg_margin=0.5, distance=cosine), None
        )

    def triplet() -> Objective:
        miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard")
        return Objective(losses.TripletMarginLoss(margin=0.2), miner)

    def n_pair() -> Objective:
        # Sohn's loss of one positive against all negatives, for every positive pair of the batch.
        # It compares dot products of free length, so unit vectors need a temperature.
        return Objective(losses.NTXentLoss(temperature=0.07), None)

    def arcface() -> Objective:
        return Objective(losses.ArcFaceLoss(n_classes, dim, margin=28.6, scale=32), None)

    def proxy_anchor() -> Objective:
        return Objective(losses.ProxyAnchorLoss(n_classes, dim, margin=0.1, alpha=32), None)

    def cross_entropy() -> Objective:
        return Objective(losses.NormalizedSoftmaxLoss(n_classes, dim, temperature=0.05), None)

    makers: dict[str, Callable[[], Objective]] = {
        "multi-similarity": multi_similarity,
        "contrastive": contrastive,
        "triplet": triplet,
        "n-pair": n_pair,
        "arcface": arcface,
        "proxy-anchor": proxy_anchor,
        "cross-entropy": cross_entropy,
    }
    return makers[recipe.loss]()
