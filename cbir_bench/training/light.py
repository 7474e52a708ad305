"""Light pairs: those that are in order already, have zero loss, and teach nothing."""

from __future__ import annotations

import math
from typing import Any


def light_pairs(loss: Any, vectors: Any, classes: Any, indices: Any) -> float:
    """Return the share of zero-loss pairs among those that can have zero loss, in [0, 1].

    A negative pair is light once its cosine is at most the margin; a positive one once its cosine is at
    least ``positive_margin``. With no ``positive_margin`` positives are pulled for ever, none can be
    light, and negatives alone are counted: of pairs drawn by lot the share then goes to 1 as
    training goes on.

    Args:
        loss: pytorch-metric-learning's contrastive loss of cosines.
        vectors: ``(n, dim)`` of a batch.
        classes: ``(n,)`` of the same.
        indices: what the miner chose; None is all pairs.

    Returns:
        NaN where there is no such pair.
    """
    import torch
    from pytorch_metric_learning.utils import loss_and_miner_utils

    with torch.no_grad():
        similarity = loss.distance(vectors)
        a1, p, a2, n = loss_and_miner_utils.convert_to_pairs(indices, classes)
        light = similarity[a2, n] <= loss.neg_margin
        if loss.pos_margin < 1:
            light = torch.cat([light, similarity[a1, p] >= loss.pos_margin])
        return _share(light)


def light_triplets(loss: Any, vectors: Any, classes: Any, indices: Any) -> float:
    """Return the share of zero-loss triplets among the chosen ones, in [0, 1].

    A triplet is light once its negative is farther from the anchor than its positive by at least the
    margin. Semi-hard triplets are within the margin by definition, so their share is 0.

    Args:
        loss: pytorch-metric-learning's triplet loss.
        vectors: ``(n, dim)`` of a batch.
        classes: ``(n,)`` of the same.
        indices: what the miner chose; None is all triplets.

    Returns:
        NaN where no triplet was chosen.
    """
    import torch
    from pytorch_metric_learning.utils import loss_and_miner_utils

    with torch.no_grad():
        distance = loss.distance(vectors)
        a, p, n = loss_and_miner_utils.convert_to_triplets(indices, classes, t_per_anchor="all")
        return _share(distance[a, p] - distance[a, n] + loss.margin <= 0)


def no_light(loss: Any, vectors: Any, classes: Any, indices: Any) -> float:  # noqa: ARG001
    """Return NaN: the other losses are never quite zero."""
    return math.nan


def _share(light: Any) -> float:
    return float(light.float().mean()) if len(light) else math.nan
