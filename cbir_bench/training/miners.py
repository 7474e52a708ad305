"""Which pairs or triplets of a batch a loss sees: pytorch-metric-learning's miners, or a draw by lot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.training.recipe import TrainingRecipe

_SEMI_HARD_MARGIN: Final = 0.1
"""For contrastive, which has no margin between two cosines: FaceNet's 0.2 of squared distances."""


def make_miner(recipe: TrainingRecipe, loss: Any) -> Callable[[Any, Any], Any]:
    """Return a function of ``(vectors, classes)`` that gives indices as pytorch-metric-learning has them.

    They are anchors, positives and negatives of triplets, or anchors and positives, anchors and
    negatives of pairs; None stands for all of the batch.

    Args:
        recipe: names the miner.
        loss: measures similarity; a miner looks through the same eyes.
    """
    from pytorch_metric_learning import miners

    name = recipe.chosen_miner
    if name == "none":
        return all_of_the_batch
    if name == "random":
        return random_triplets if recipe.loss == "triplet" else random_pairs
    if name == "multi-similarity":
        miner: Any = miners.MultiSimilarityMiner(epsilon=0.1)
        return miner  # type: ignore[no-any-return]
    if name == "hard":
        miner = miners.BatchHardMiner(distance=loss.distance)
    else:
        margin = loss.margin if recipe.loss == "triplet" else _SEMI_HARD_MARGIN
        miner = miners.TripletMarginMiner(
            margin=margin, type_of_triplets="semihard", distance=loss.distance
        )
    return miner if recipe.loss == "triplet" else _PairsOf(miner)


def all_of_the_batch(vectors: Any, classes: Any) -> None:
    """Return None, which losses take for all pairs or triplets."""


def random_triplets(vectors: Any, classes: Any) -> tuple[Any, Any, Any]:  # noqa: ARG001
    """Return every positive pair of the batch with one negative of its anchor, drawn by lot.

    All negatives are equally likely, whatever their vectors. The draws are torch's own.
    """
    import torch
    from pytorch_metric_learning.utils import loss_and_miner_utils

    anchors, positives, _, _ = loss_and_miner_utils.get_all_pairs_indices(classes)
    others = (classes[anchors, None] != classes[None, :]).float()
    return anchors, positives, torch.multinomial(others, 1)[:, 0]


def random_pairs(vectors: Any, classes: Any) -> tuple[Any, Any, Any, Any]:
    """Return every positive pair of the batch, and as many negative pairs, as ``random_triplets`` draws."""
    anchors, positives, negatives = random_triplets(vectors, classes)
    return anchors, positives, anchors, negatives


class _PairsOf:
    """The pairs that occur in a miner's triplets, each once."""

    def __init__(self, miner: Any) -> None:
        self._miner = miner

    def __call__(self, vectors: Any, classes: Any) -> tuple[Any, Any, Any, Any]:
        import torch

        anchors, positives, negatives = self._miner(vectors, classes)
        near = torch.stack([anchors, positives]).unique(dim=1)
        far = torch.stack([anchors, negatives]).unique(dim=1)
        return near[0], near[1], far[0], far[1]
