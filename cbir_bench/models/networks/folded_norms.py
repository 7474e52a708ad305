"""Batch norms whose statistics were folded into the convolutions before them, as exporters do.

Such a norm holds a mean of 0 and a variance of 1 in place of statistics of its input, and scales by
nothing. Evaluated, it adds its bias, as it should. Trained, it would normalise by statistics that the
weights were never meant for, and the network's features would be lost at the first step.
"""

from __future__ import annotations

from typing import Any, Final

from torch import nn

_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_TOLERANCE: Final = 1e-3


def folded_norms(backbone: Any) -> list[Any]:
    """Return the batch norms of a backbone if all of them are folded, and none otherwise.

    Those of a network that has not been trained look alike, but for their biases, which are all 0.
    """
    norms = [m for m in backbone.modules() if isinstance(m, _NORMS)]
    folded = all(_is_folded(norm) for norm in norms) and any(norm.bias.any() for norm in norms)
    return norms if folded else []


def _is_folded(norm: Any) -> bool:
    if norm.running_mean is None or not norm.affine:
        return False
    same = {"running_mean": 0.0, "running_var": 1.0, "weight": 1.0}
    return all(
        bool(((getattr(norm, name) - value).abs() < _TOLERANCE).all())
        for name, value in same.items()
    )
