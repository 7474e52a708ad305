"""Pooling, against the definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import pooling_by_loops as loops

from cbir_bench.models.networks.pooling import (
    AveragePooling,
    FixedGeneralizedMeanPooling,
    GeneralizedMeanPooling,
    MaxPooling,
)
from cbir_bench.models.networks.regions import RegionalMaxPooling, RegionWhitening


def maps(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def each(features, pool):
    return np.stack([pool(one) for one in features.numpy()])


@pytest.mark.parametrize(
    ("module", "definition"),
    [
        (AveragePooling(), loops.spoc),
        (MaxPooling(), loops.mac),
        (GeneralizedMeanPooling(2.5), lambda x: loops.gem(x, [2.5] * 3)),
        (FixedGeneralizedMeanPooling(2.5), lambda x: loops.gem(x, [2.5] * 3)),
        (FixedGeneralizedMeanPooling(3.0), lambda x: loops.gem(x, [3.0] * 3)),
    ],
    ids=["avg", "max", "gem", "gem fixed", "gem of 3"],
)
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 3, 1, 1), (2, 3, 7, 7)])
def test_a_map_is_pooled_as_in_the_paper(module, definition, shape) -> None:
    """Half of the features are negative here, which GeM counts as 0."""
    features = maps(*shape)

    actual = module(features).detach().numpy()

    np.testing.assert_allclose(actual, each(features, definition), rtol=1e-5, atol=1e-6)


def test_each_channel_has_the_exponent_of_its_own() -> None:
    """Exponents along the wrong axis would still broadcast where rows equal channels."""
    features = maps(2, 3, 3, 3)
    gem = GeneralizedMeanPooling(3.0, n_exponents=3)
    gem.p.data[:] = torch.tensor([1.0, 3.0, 20.0])

    actual = gem(features).detach().numpy()

    expected = each(features, lambda x: loops.gem(x, [1.0, 3.0, 20.0]))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("n_exponents", [1, 2])
def test_gem_learns_its_exponents_and_survives_zeros(n_exponents) -> None:
    """The gradient of 0 ** p is what makes a naive GeM return NaN."""
    gem = GeneralizedMeanPooling(3.0, n_exponents)

    gem(torch.zeros(1, 2, 4, 4)).sum().backward()

    assert gem.p.numel() == n_exponents
    assert torch.isfinite(gem.p.grad).all()


def test_a_fixed_exponent_is_no_parameter() -> None:
    """The optimiser would change it."""
    actual = list(FixedGeneralizedMeanPooling(3.0).parameters())

    assert actual == []


@pytest.mark.parametrize(
    "size", [(7, 7), (7, 12), (12, 7), (4, 4), (2, 2), (1, 1), (1, 5), (14, 9), (3, 40)]
)
@pytest.mark.parametrize("n_levels", [1, 3, 4])
def test_regional_maxima_are_those_of_the_paper(size, n_levels) -> None:
    """Squares of each scale, evenly spread, along the longer side as many as overlap by 40 %."""
    features = maps(2, 5, *size)

    actual = RegionalMaxPooling(n_levels)(features).numpy()

    expected = each(features, lambda x: loops.rmac(x, n_levels))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_square_map_has_fourteen_regions_of_three_scales() -> None:
    """1 + 4 + 9, as in the paper's figure."""
    regions = RegionalMaxPooling(3).regions(maps(2, 5, 7, 7))

    assert regions.shape == (2, 14, 5)
    torch.testing.assert_close(regions.norm(dim=2), torch.ones(2, 14))


def test_whitened_regions_are_scaled_again_before_they_are_summed() -> None:
    """Without the second scaling, rare directions would outweigh everything."""
    features = maps(2, 5, 7, 7)
    mean, projection = maps(5, seed=1), maps(3, 5, seed=2)
    pool = RegionalMaxPooling(3)
    pool.whitening = RegionWhitening(mean, projection)

    actual = pool(features).numpy()

    expected = each(features, lambda x: loops.rmac(x, 3, mean.numpy(), projection.numpy()))
    assert actual.shape == (2, 3)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def test_gradients_reach_the_maxima_of_regions_alone() -> None:
    """R-MAC is trained end to end."""
    features = maps(1, 1, 7, 7).abs().requires_grad_()
    offset = torch.ones(1, 1, 7, 7)

    RegionalMaxPooling(2)(torch.cat([features, offset], dim=1))[:, 0].sum().backward()

    touched = features.grad.flatten().nonzero().flatten().tolist()
    tops = [features.detach()[0, 0, y : y + w, x : x + w] for y, x, w in loops.regions(7, 7, 2)]
    largest = {(features[0, 0] == region.max()).flatten().nonzero().item() for region in tops}
    assert set(touched) == largest
