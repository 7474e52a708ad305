"""Weight files: matched layer by layer, damaged and malicious ones refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError
from cbir_bench.core.model import Learned
from cbir_bench.models.timm_backbone import TimmModel

SMALL = {"backbone": "test_efficientnet", "image_size": 32}
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture
def context(tmp_path: Path) -> DataContext:
    """The test's own folder, where weight files are looked up."""
    return DataContext(folders=(tmp_path,), cache=tmp_path)


def network(context, seed=5, **options):
    return TimmModel(**{**SMALL, **options}, seed=seed).network(context)


def tensors(context, **options):
    return {n: t.clone() for n, t in network(context, **options).backbone.state_dict().items()}


def embed(context, **options):
    model = TimmModel(**{**SMALL, "framing": "whole", **options})
    embedder = model.embedder(context, Learned())
    (vectors,) = embedder.embed([embedder.prepare([IMAGE])])
    return vectors


def test_a_backbones_file_gives_the_vectors_of_its_weights(context, tmp_path) -> None:
    """safetensors or torch, bare or wrapped, with or without data-parallel prefixes."""
    weights = tensors(context)
    save_file(weights, tmp_path / "a.safetensors")
    torch.save(weights, tmp_path / "b.pt")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{n}": t for n, t in weights.items()}},
        tmp_path / "c.pth",
    )
    expected = embed(context, seed=5)

    for name in ("a.safetensors", "b.pt", "c.pth"):
        np.testing.assert_array_equal(embed(context, weights=name, seed=0), expected)


def test_positions_of_another_size_are_resized(context, tmp_path) -> None:
    """Transformers are published for one size and used at others."""
    options = {"backbone": "test_vit", "image_size": 64, "device": "cpu"}
    published = tensors(context, backbone="test_vit", image_size=160)
    save_file(published, tmp_path / "a.safetensors")
    wanted = TimmModel(**options, weights="a.safetensors")

    actual = wanted.embedder(context, Learned()).network.backbone.state_dict()

    (token, patches), found = published["pos_embed"].split([1, 100], dim=1), actual["pos_embed"]
    grid = patches.unflatten(1, (10, 10)).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(
        grid, size=(4, 4), mode="bicubic", antialias=True, align_corners=False
    )
    expected = resized.flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, torch.cat([token, expected], dim=1))
    assert torch.equal(actual["patch_embed.proj.weight"], published["patch_embed.proj.weight"])


def test_names_of_the_authors_are_translated(context, tmp_path) -> None:
    """ConvNeXt's own files call the stem ``downsample_layers``; timm knows how to read them."""
    options = {"backbone": "test_convnext", "image_size": 32}
    own = tensors(context, **options)
    authors = {
        name.replace("stem.", "downsample_layers.0.").replace("head.norm.", "norm."): tensor
        for name, tensor in own.items()
    }
    assert authors.keys() != own.keys()
    save_file(authors, tmp_path / "a.safetensors")

    actual = embed(context, weights="a.safetensors", **options)

    np.testing.assert_array_equal(actual, embed(context, seed=5, **options))


def test_a_classifier_in_the_file_is_left_out(context, tmp_path) -> None:
    """Most published files have one."""
    weights = tensors(context) | {"classifier.weight": torch.zeros(10, 256)}
    save_file(weights, tmp_path / "a.safetensors")

    actual = embed(context, weights="a.safetensors")

    np.testing.assert_array_equal(actual, embed(context, seed=5))


@pytest.mark.parametrize(
    "options",
    [
        {"embedding_dim": 12, "pooling": "gem", "gem_per_channel": True},
        {"embedding_dim": 12, "head": "cgd"},
        {"embedding_dim": 12, "head": "bdb", "image_size": 64},
        {"pooling": "rmac"},
    ],
    ids=["gem", "cgd", "bdb", "rmac"],
)
def test_a_checkpoint_of_ours_brings_pooling_and_head(context, tmp_path, options) -> None:
    """A model trained once can be the weights of another suite."""
    save_file(network(context, **options).state_dict(), tmp_path / "a.safetensors")

    actual = embed(context, weights="a.safetensors", seed=0, **options)

    np.testing.assert_array_equal(actual, embed(context, seed=5, **options))


def test_another_models_file_is_refused_with_the_layers(context, tmp_path) -> None:
    """The user needs to see which model it is of."""
    save_file(tensors(context, backbone="test_resnet"), tmp_path / "a.safetensors")

    with pytest.raises(
        DataError, match=r"another model.*missing: .*of another shape: .*unknown to"
    ):
        embed(context, weights="a.safetensors")


@pytest.mark.parametrize(
    ("saved", "wanted", "layers"),
    [
        ("cgd", "bdb", r"missing: head\.global_reduction.*unknown to the model: head\.auxiliary"),
        ("bdb", "cgd", r"missing: head\.reductions.*unknown to the model: head\.block"),
        ("linear", "bdb", r"missing: head\.global_reduction.*unknown to the model: head\.bias"),
    ],
)
def test_a_checkpoint_with_another_head_is_refused_with_the_layers(
    context, tmp_path, saved, wanted, layers
) -> None:
    """Only what a file was trained as can be frozen from it."""
    options = {"embedding_dim": 12, "image_size": 64}
    save_file(network(context, head=saved, **options).state_dict(), tmp_path / "a.safetensors")

    with pytest.raises(DataError, match=layers):
        embed(context, weights="a.safetensors", head=wanted, **options)


def test_one_missing_layer_is_named(context, tmp_path) -> None:
    """Left at random it would spoil the vectors without a word."""
    weights = tensors(context)
    del weights["conv_stem.weight"]
    save_file(weights, tmp_path / "a.safetensors")

    with pytest.raises(DataError, match=r"layers 1 missing: conv_stem\.weight\. Set backbone"):
        embed(context, weights="a.safetensors")


def test_counts_of_batches_may_be_missing(context, tmp_path) -> None:
    """Files converted from other frameworks have no such count, and evaluation needs none."""
    weights = {n: t for n, t in tensors(context).items() if "num_batches" not in n}
    save_file(weights, tmp_path / "a.safetensors")

    actual = embed(context, weights="a.safetensors")

    np.testing.assert_array_equal(actual, embed(context, seed=5))


def test_a_file_without_head_cannot_fill_one(context, tmp_path) -> None:
    """A random projection would be measured as if it had been learned."""
    save_file(tensors(context), tmp_path / "a.safetensors")

    with pytest.raises(DataError, match="no embedding head, so embedding_dim = 8"):
        embed(context, weights="a.safetensors", embedding_dim=8)


class Malicious:
    """Pickles to a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(context, tmp_path) -> None:
    """Weights are downloaded from strangers."""
    ran = tmp_path / "ran"
    torch.save({"a": Malicious(ran)}, tmp_path / "a.pt")
    torch.save({"a": Malicious(ran)}, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "c.bin").write_bytes(pickle.dumps(Malicious(ran)))

    for name in ("a.pt", "b.pth", "c.bin"):
        for use in (embed, network):
            with pytest.raises(DataError, match="cannot be read safely"):
                use(context, weights=name)

    assert not ran.exists()
    pickle.loads((tmp_path / "c.bin").read_bytes())  # what would have happened
    assert ran.exists()


def test_a_whole_pickled_module_is_refused_by_name(context, tmp_path) -> None:
    """Many programs save the model itself, which can be loaded by running its code only."""
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")

    with pytest.raises(
        DataError, match=r"holds torch\.nn\.modules\.linear\.Linear, which is no tensor.*state_dict"
    ):
        embed(context, weights="a.pt")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\n<!DOCTYPE html><html><body>Quota exceeded</body></html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "pointer of Git LFS"),
    ],
)
def test_a_page_or_a_pointer_in_place_of_weights_says_so(
    context, tmp_path, suffix, text, what
) -> None:
    """What one gets for a link that wants a login, or a clone without its large files."""
    (tmp_path / f"a.{suffix}").write_text(text)

    with pytest.raises(DataError, match=what):
        embed(context, weights=f"a.{suffix}")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("use", [embed, network])
def test_weights_that_are_no_numbers_are_named(context, tmp_path, value, use) -> None:
    """Every vector would be NaN, and nobody would know of which layer."""
    weights = tensors(context)
    weights["conv_stem.weight"][0, 0, 0, 0] = value
    save_file(weights, tmp_path / "a.safetensors")

    with pytest.raises(DataError, match=r"NaN or infinity in 1 layers: conv_stem\.weight"):
        use(context, weights="a.safetensors")


UNUSUAL = {
    "sparse coo": torch.Tensor.to_sparse,
    "meta: a shape without numbers": lambda t: t.to("meta"),
    "float8_e4m3fn": lambda t: t.to(torch.float8_e4m3fn),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "nested": lambda t: torch.nested.nested_tensor([t]),
    "complex64": lambda t: t.to(torch.complex64),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, of kinds that it will give up
@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("use", [embed, network])
def test_tensors_that_are_no_plain_numbers_are_named(context, tmp_path, kind, use) -> None:
    """torch trips over most of them deep within, and drops the imaginary part of others."""
    weights = tensors(context)
    weights["conv_stem.weight"] = UNUSUAL[kind](weights["conv_stem.weight"])
    torch.save(weights, tmp_path / "a.pt")

    with pytest.raises(DataError, match=rf"1 tensors of a kind .*: conv_stem\.weight \({kind}\)"):
        use(context, weights="a.pt")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_in_place_of_weights_are_named(context, tmp_path, dtype) -> None:
    """Weights of a quantised model without their scales: rounded, most are 0."""
    weights = tensors(context)
    weights["conv_stem.weight"] = weights["conv_stem.weight"].to(dtype)
    save_file(weights, tmp_path / "a.safetensors")

    with pytest.raises(DataError, match=r"integers in 1 layers .*: conv_stem\.weight \("):
        embed(context, weights="a.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken(context, tmp_path, dtype) -> None:
    """Files are often saved in half precision to make them smaller."""
    weights = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors(context).items()}
    save_file(weights, tmp_path / "a.safetensors")

    actual = embed(context, weights="a.safetensors")

    np.testing.assert_allclose(actual, embed(context, seed=5), atol=0.02)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(context, tmp_path, suffix, share) -> None:
    """Interrupted downloads leave such files."""
    path = tmp_path / f"a.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(tensors(context), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    with pytest.raises(DataError, match="cannot be read safely"):
        embed(context, weights=path.name)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}])
def test_a_file_without_tensors_is_refused(context, tmp_path, content) -> None:
    """A file of an optimiser or of a list is no state_dict."""
    torch.save(content, tmp_path / "a.pt")

    with pytest.raises(DataError, match="Save a state_dict"):
        embed(context, weights="a.pt")


def test_a_missing_or_unknown_file_is_named(context, tmp_path) -> None:
    """The name may also be a misspelt 'train'."""
    (tmp_path / "a.onnx").touch()

    with pytest.raises(DataError, match="no 'trian'"):
        TimmModel(**SMALL, weights="trian").weights_hash(context)
    with pytest.raises(DataError, match=r"ends in '\.onnx'"):
        embed(context, weights="a.onnx")


def test_the_hash_of_a_file_is_that_of_its_bytes(context, tmp_path) -> None:
    """Another file under the same name is another model."""
    save_file(tensors(context), tmp_path / "a.safetensors")
    model = TimmModel(**SMALL, weights="a.safetensors")
    before = model.weights_hash(context)
    save_file(tensors(context, seed=6), tmp_path / "a.safetensors")

    assert len(before) == 64
    assert model.weights_hash(context) != before
