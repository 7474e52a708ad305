"""Pooling, against the definitions written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.pooling import by_position, make_pooling

FEATURES = torch.rand((2, 3, 5), generator=torch.Generator().manual_seed(0))


def backbone(**attributes):
    return SimpleNamespace(num_features=6, **attributes)


@pytest.mark.parametrize("p", [1.0, 3.0, 7.5])
def test_gem_is_the_generalised_mean(p: float) -> None:
    """Written from the paper: (1/N sum x^p)^(1/p)."""
    expected = (FEATURES.numpy().astype(float) ** p).mean(axis=2) ** (1 / p)

    actual = make_pooling("gem", p)(FEATURES).detach().numpy()

    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_gem_lies_between_average_and_maximum() -> None:
    """p = 1 is the one end and a large p the other."""
    average, largest = (make_pooling(kind, 3.0)(FEATURES) for kind in ("avg", "max"))

    torch.testing.assert_close(make_pooling("gem", 1.0)(FEATURES), average)
    torch.testing.assert_close(make_pooling("gem", 100.0)(FEATURES), largest, rtol=0.02, atol=0)


def test_gem_learns_its_exponent_and_survives_zeros() -> None:
    """The gradient of 0 ** p is what makes a naive GeM return NaN."""
    gem = make_pooling("gem", 3.0)

    gem(torch.zeros(1, 2, 4)).sum().backward()

    assert torch.isfinite(gem.p.grad)


def test_maps_of_either_layout_and_tokens_give_the_same_positions() -> None:
    """A pooling over the wrong axis still gives numbers."""
    first = torch.rand((2, 6, 4, 5), generator=torch.Generator().manual_seed(1))
    last = first.permute(0, 2, 3, 1)
    tokens = torch.cat([torch.full((2, 2, 6), 9.0), last.flatten(1, 2)], dim=1)

    maps = by_position(first, backbone())

    torch.testing.assert_close(by_position(last, backbone()), maps)
    torch.testing.assert_close(by_position(tokens, backbone(num_prefix_tokens=2)), maps)


def test_a_square_map_is_read_as_the_backbone_says() -> None:
    """Where channels equal the width, the shape alone cannot tell."""
    first = torch.rand((1, 6, 6, 6), generator=torch.Generator().manual_seed(2))

    actual = by_position(first.permute(0, 2, 3, 1), backbone(output_fmt="NHWC"))

    torch.testing.assert_close(actual, first.flatten(2))


def test_features_without_positions_are_refused() -> None:
    """A model that already pooled has nothing left to pool over."""
    with pytest.raises(
        SettingError, match=r'\(2, 6\), neither a map nor tokens.*pooling = "model"'
    ):
        by_position(torch.zeros(2, 6), backbone())
