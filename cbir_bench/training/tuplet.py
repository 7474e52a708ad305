"""The tuplet loss of Sohn 2016, for vectors of length 1, in a batch's similarity matrix."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import GenericPairLoss
from torch.nn.functional import softplus


class TupletLoss(GenericPairLoss):  # type: ignore[misc]
    """Each positive pair against all negatives of its anchor: log(1 + sum of exp((a.n - a.p) / t)).

    Sohn compares dot products of free length, which a penalty holds in check; vectors of length 1 need a
    temperature in its place. It is then what is elsewhere called NT-Xent or InfoNCE, and equal to
    pytorch-metric-learning's ``NTXentLoss``, which compares every positive with every negative pair of
    the batch and so takes many times as long.

    Args:
        temperature: that cosines are divided by, above 0.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__(mat_based_loss=True)
        self.temperature = temperature

    def get_default_distance(self) -> Any:
        """Return cosines."""
        return CosineSimilarity()

    def _compute_loss(self, mat: Any, pos_mask: Any, neg_mask: Any) -> dict[str, Any]:
        sharp = mat / self.temperature
        # An anchor without negatives has a loss of 0: the lowest number, unlike infinity, has a gradient.
        lowest = torch.finfo(sharp.dtype).min
        negatives = sharp.masked_fill(neg_mask == 0, lowest).logsumexp(dim=1)
        anchors, positives = torch.where(pos_mask)
        return {
            "loss": {
                "losses": softplus(negatives[anchors] - sharp[anchors, positives]),
                "indices": (anchors, positives),
                "reduction_type": "pos_pair",
            }
        }
