"""Heads: linear, combined global descriptors, batch drop block; and what the trainer is given of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import pooling_by_loops as loops

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.batch_drop_block import BatchDropBlock
from cbir_bench.models.networks.combined_descriptors import CombinedDescriptors
from cbir_bench.models.timm_backbone import TimmModel

CONTEXT = DataContext(folders=(), cache=Path("unused"))
HEADS = {
    "none": {},
    "linear": {"embedding_dim": 12, "pooling": "gem"},
    "cgd": {"embedding_dim": 12, "head": "cgd"},
    "bdb": {"embedding_dim": 12, "head": "bdb"},
}
DIMS = {
    "none": ((96,), ()),
    "linear": ((12,), ()),
    "cgd": ((12,), (96,)),
    "bdb": ((4, 8), (4, 8)),
}


def network(head, **options):
    model = TimmModel(image_size=64, output_stride=16, **HEADS[head], **options)
    return model.network(CONTEXT)


def pixels(n=3, seed=0):
    return torch.randint(
        0, 256, (n, 3, 64, 64), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )


def maps(n=4, channels=8, rows=6, columns=5, seed=0):
    return torch.randn(
        (n, channels, rows, columns), generator=torch.Generator().manual_seed(seed)
    ).relu()


@pytest.mark.parametrize("head", HEADS)
def test_the_trainer_gets_what_the_head_announces(head) -> None:
    """Losses with proxies and classifiers are made from these numbers before the first step."""
    net = network(head).train()

    branches = net.branches(pixels())

    assert (net.ranked_dims, net.classified_dims) == DIMS[head]
    assert tuple(one.shape for one in branches.ranked) == tuple((3, d) for d in DIMS[head][0])
    assert tuple(one.shape for one in branches.classified) == tuple((3, d) for d in DIMS[head][1])
    for ranked in branches.ranked:
        torch.testing.assert_close(ranked.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("head", HEADS)
def test_every_weight_of_a_head_learns(head) -> None:
    """A branch that no loss reaches would be frozen as it was drawn."""
    net = network(head).train()

    branches = net.branches(pixels())
    draw = torch.Generator().manual_seed(1)
    sum(
        (one * torch.randn(one.shape, generator=draw)).sum()
        for one in (*branches.ranked, *branches.classified)
    ).backward()

    learned = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert {n for n, _ in net.named_parameters() if not n.startswith("backbone.")} <= learned
    assert "backbone.conv1.0.weight" in learned


@pytest.mark.parametrize("head", ["none", "linear", "cgd"])
def test_what_is_ranked_is_what_is_frozen(head) -> None:
    """Otherwise the loss would shape other vectors than those that are searched."""
    net = network(head).eval()

    with torch.no_grad():
        (ranked,), vectors = net.branches(pixels()).ranked, net(pixels())

    torch.testing.assert_close(ranked, vectors)


def test_combined_descriptors_are_reduced_unit_vectors_side_by_side() -> None:
    """Written from the paper: each pooled, reduced, scaled to length 1, concatenated."""
    head = CombinedDescriptors("GSM", channels=8, dim=12, gem_p=3.0).eval()
    features = maps()
    weights = [reduction.weight.detach().numpy() for reduction in head.reductions]

    actual = head(features).detach().numpy()

    def described(one):
        pooled = loops.gem(one, [3.0] * 8), loops.spoc(one), loops.mac(one)
        return np.concatenate([loops.unit(w @ p) for w, p in zip(weights, pooled, strict=True)])

    np.testing.assert_allclose(actual, [described(one) for one in features.numpy()], atol=1e-5)


@pytest.mark.parametrize(("descriptors", "pool"), [("MS", loops.mac), ("SM", loops.spoc)])
def test_the_first_descriptor_is_classified_after_batch_norm(descriptors, pool) -> None:
    """The paper's auxiliary loss is on the first branch alone, before its reduction."""
    head = CombinedDescriptors(descriptors, channels=8, dim=12, gem_p=3.0).train()
    features = maps()
    pooled = np.stack([pool(one) for one in features.numpy()])
    expected = (pooled - pooled.mean(axis=0)) / np.sqrt(pooled.var(axis=0) + 1e-5)

    (actual,) = head.branches(features).classified

    np.testing.assert_allclose(actual.detach().numpy(), expected, atol=1e-4)


def test_one_rectangle_is_dropped_from_the_whole_batch_while_training() -> None:
    """Dropped for each image apart it would be another method (DropBlock, Cutout)."""
    head = BatchDropBlock((8, 6, 5), 12, drop_height=0.5, drop_width=0.4).train()
    torch.manual_seed(0)
    ones = torch.ones(4, 8, 6, 5)

    kept = [head.drop(ones) for _ in range(40)]

    places = set()
    for one in kept:
        dropped = one == 0
        assert (dropped == dropped[0, 0]).all()
        rows, columns = dropped[0, 0].nonzero().T
        assert (rows.unique().numel(), columns.unique().numel(), len(rows)) == (3, 2, 6)
        places.add((rows.min().item(), columns.min().item()))
    assert {y for y, _ in places} == {0, 1, 2, 3}
    assert {x for _, x in places} == {0, 1, 2, 3}


def test_nothing_is_dropped_from_what_is_frozen() -> None:
    """A vector by chance would differ from one run to the next."""
    head = BatchDropBlock((8, 6, 5), 12, drop_height=0.5, drop_width=0.4).eval()
    features = maps()

    first, second = head(features), head(features)

    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, torch.cat(head.branches(features).ranked, dim=1))


def test_dropping_reaches_the_second_branch_alone() -> None:
    """The global branch sees the whole image, also while training."""
    head = BatchDropBlock((8, 6, 5), 12, drop_height=0.5, drop_width=0.4).train()
    features = maps()

    torch.manual_seed(0)
    first = head.branches(features).ranked
    torch.manual_seed(5)
    second = head.branches(features).ranked

    torch.testing.assert_close(first[0], second[0], rtol=0, atol=0)
    assert (first[1] - second[1]).abs().max() > 1e-3


@pytest.mark.parametrize("backbone", ["test_vit", "vit_convstem_xs_patch16_64"])
@pytest.mark.parametrize("options", [HEADS["cgd"], HEADS["bdb"], {"pooling": "rmac"}])
def test_tokens_go_to_their_places_for_heads_that_need_a_map(backbone, options) -> None:
    """Rectangles and regions of a sequence would be stripes."""
    model = TimmModel(backbone=backbone, image_size=64, **options)
    net = model.network(CONTEXT).eval()

    actual = net(pixels())

    assert actual.shape == (3, net.dim)
    assert torch.isfinite(actual).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "cgd"}, r"embedding_dim among its branches, but it is 0\. Set it to 3"),
        ({"head": "bdb", "embedding_dim": 2}, r"but it is 2\. Set it to 3"),
        ({"head": "cgd", "embedding_dim": 10}, r"10 cannot be shared equally by the 3 desc"),
        ({"descriptors": "SS"}, r"'SS' is no choice of S, M and G"),
        ({"descriptors": "SX"}, r"'SX' is no choice"),
        ({"descriptors": ""}, r"'' is no choice"),
        ({"head": "bdb", "embedding_dim": 9, "pooling": "max"}, r"'max' would do nothing"),
        ({"gem_fixed": True}, r'pooling = "gem" only, not .avg'),
        ({"gem_fixed": True, "gem_per_channel": True, "pooling": "gem"}, r"Set one\."),
        ({"gem_p": 2.5}, r'gem_p = 2\.5 goes with pooling = "gem" or the G of head = "cgd"'),
        ({"gem_p": 2.5, "pooling": "rmac"}, "gem_p = 2.5 goes with"),
        ({"gem_p": 2.5, "head": "cgd", "descriptors": "SM", "embedding_dim": 8}, "gem_p = 2.5"),
        ({"gem_per_channel": True, "head": "cgd", "embedding_dim": 9}, r'pooling = "gem" only'),
        ({"descriptors": "GM"}, r'descriptors go with head = "cgd" only, not .linear'),
        ({"descriptors": "GM", "head": "bdb", "embedding_dim": 9}, r"only, not .bdb"),
        ({"drop_height": 0.5}, r'drop_width go with head = "bdb" only, not .linear'),
        ({"drop_width": 0.5, "head": "cgd", "embedding_dim": 9}, r"only, not .cgd"),
        ({"rmac_levels": 2}, r'pooling = "rmac" only'),
        ({"region_pca": 8, "pooling": "gem"}, r'pooling = "rmac" only'),
        ({"region_pca": 8, "pooling": "rmac", "embedding_dim": 8}, r"Set one of them to 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message) -> None:
    """Before anything is trained for hours."""
    with pytest.raises(SettingError, match=message):
        TimmModel(**options)


@pytest.mark.parametrize(
    "options", [{"pooling": "gem"}, {"head": "cgd", "descriptors": "GM", "embedding_dim": 8}]
)
def test_the_exponent_of_a_generalised_mean_counts(options) -> None:
    """It is refused elsewhere, so it has to do something here."""
    models = [TimmModel(image_size=64, gem_p=p, **options) for p in (2.0, 6.0)]

    first, second = (model.network(CONTEXT).eval()(pixels()) for model in models)

    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("shares", [(0.33, 1.0), (1.0, 1.0)])
def test_a_rectangle_of_nothing_or_everything_is_refused(shares) -> None:
    """A map of one position has nothing to spare."""
    model = TimmModel(
        head="bdb", embedding_dim=12, image_size=32, drop_height=shares[0], drop_width=shares[1]
    )

    with pytest.raises(SettingError, match=r"drop . of the 1 positions of a map of 1 x 1"):
        model.network(CONTEXT)
