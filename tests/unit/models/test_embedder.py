"""From prepared batches to vectors: sizes, mirrored images, precision."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import SettingError
from cbir_bench.core.model import Learned
from cbir_bench.models.timm_backbone import TimmModel

CONTEXT = DataContext(folders=(), cache=Path("unused"))


def noise(*size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


IMAGES = [noise(90, 120, seed=1), noise(50, 40, seed=2), noise(64, 64, seed=3)]


def embed(images=IMAGES, **options):
    embedder = TimmModel(**{"image_size": 64, **options}).embedder(CONTEXT, Learned())
    (vectors,) = embedder.embed([embedder.prepare(images)])
    return vectors


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_vectors_of_several_sizes_are_added_up() -> None:
    """Radenovic 2019: unit vectors of each scale, summed, of length 1 again."""
    alone = [embed(image_size=size) for size in (64, 45, 96)]

    actual = embed(scales="1, 0.7071, 1.5")

    np.testing.assert_allclose(actual, unit(sum(alone)), atol=1e-5)


def test_each_size_is_resized_from_the_image_itself() -> None:
    """Resized twice, fine detail would be lost at every scale."""
    model = TimmModel(image_size=64, scales="1, 1.5", framing="crop")
    embedder = model.embedder(CONTEXT, Learned())
    expected = [
        TimmModel(image_size=size, framing="crop").network(CONTEXT).prepare(IMAGES)
        for size in (64, 96)
    ]

    actual = embedder.prepare(IMAGES)

    for found, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_vector_of_the_mirrored_image_is_added() -> None:
    """Then an image and its mirror image are the same to the model."""
    square = [noise(64, 64, seed=4)]
    mirrored = [square[0][:, ::-1]]

    plain = embed(square), embed(mirrored)
    actual = embed(square, flip=True), embed(mirrored, flip=True)

    assert abs(plain[0] - plain[1]).max() > 1e-3
    np.testing.assert_allclose(actual[0], unit(plain[0] + plain[1]), atol=1e-5)
    np.testing.assert_allclose(actual[1], actual[0], atol=1e-5)


def test_a_transformer_takes_several_sizes_where_timm_can_make_it() -> None:
    """Sizes are whole patches: 0.7 of 64 pixels is 3 patches of 16."""
    model = TimmModel(backbone="test_vit", image_size=64, scales="1, 0.7")
    embedder = model.embedder(CONTEXT, Learned())

    prepared = embedder.prepare(IMAGES)
    (vectors,) = embedder.embed([prepared])

    assert [one.shape[2:] for one in prepared] == [(64, 64), (48, 48)]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_being_ready_for_several_sizes_changes_nothing_at_the_first() -> None:
    """Embeddings of positions are resized for the other scales only."""
    options = {"backbone": "test_vit", "image_size": 64}
    model = TimmModel(**options, scales="0.9999, 1.5")
    several = model.embedder(CONTEXT, Learned())

    (first,) = several.embed([several.prepare(IMAGES)[:1]])

    np.testing.assert_allclose(first, embed(**options), atol=1e-5)


def test_a_transformer_of_one_size_says_so() -> None:
    """Its positions are related by a table of fixed size."""
    model = TimmModel(backbone="test_vit_relpos", scales="1, 0.5")

    with pytest.raises(SettingError, match=r"cannot take images of 80 pixels, which scales"):
        model.embedder(CONTEXT, Learned())


def test_a_size_too_small_for_the_backbone_says_so() -> None:
    """A quarter of 8 pixels leaves a map of nothing."""
    model = TimmModel(backbone="vgg11", image_size=32, scales="1, 0.25")

    with pytest.raises(SettingError, match=r"cannot take images of 8 pixels, which scales"):
        model.embedder(CONTEXT, Learned())


@pytest.mark.parametrize("scales", ["", "1,", "a", "0", "-1", "nan", "9", "1 0.5"])
def test_scales_that_are_no_scales_are_refused(scales) -> None:
    """The text is an option of a suite file, typed by hand."""
    with pytest.raises(SettingError, match="no list of numbers"):
        TimmModel(scales=scales)


def test_a_scale_named_twice_is_refused() -> None:
    """It would count twice, and cost twice."""
    with pytest.raises(SettingError, match="names a scale twice"):
        TimmModel(scales="1, 0.5, 1.0")


def test_half_precision_gives_nearly_the_same_float32_vectors() -> None:
    """It is faster where the hardware computes in it, and a little less exact anywhere."""
    exact = embed()

    actual = embed(precision="bfloat16")

    assert actual.dtype == np.float32
    assert 1e-6 < abs(actual - exact).max() < 0.02
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, atol=1e-5)


def test_float16_needs_a_gpu() -> None:
    """Half of the operations do not exist for it on a CPU."""
    with pytest.raises(SettingError, match=r"float16.*needs a CUDA device"):
        embed(precision="float16", device="cpu")


@pytest.mark.parametrize("options", [{}, {"scales": "1, 0.5"}])
def test_what_readers_do_is_small_and_travels(options) -> None:
    """Each reader process is sent it; the network's weights would be megabytes."""
    embedder = TimmModel(image_size=64, **options).embedder(CONTEXT, Learned())

    payload = pickle.dumps(embedder.prepare)

    assert len(payload) < 500
    for found, wanted in zip(pickle.loads(payload)(IMAGES), embedder.prepare(IMAGES), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_every_batch_comes_back_in_its_place(n) -> None:
    """On a GPU they come back one batch late, and the last ones must not be forgotten."""
    embedder = TimmModel(image_size=32).embedder(CONTEXT, Learned())
    batches = [embedder.prepare([noise(32, 32, seed=i)]) for i in range(n)]
    alone = [next(iter(embedder.embed([batch]))) for batch in batches]

    actual = list(embedder.embed(iter(batches)))

    assert len(actual) == n
    for found, wanted in zip(actual, alone, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_next_batch_is_begun_before_vectors_of_the_last_one_are_fetched(monkeypatch) -> None:
    """A GPU that waits for its results to be stored computes nothing meanwhile."""
    embedder = TimmModel(image_size=32, device="cpu").embedder(CONTEXT, Learned())
    events = []
    begin = embedder._begin

    class Late:
        def __init__(self, i, vectors):
            self.i, self.vectors = i, vectors

        def finished(self):
            events.append(f"fetch {self.i}")
            return self.vectors.finished()

    def noted(batch):
        i = sum(event.startswith("begin") for event in events)
        events.append(f"begin {i}")
        embedder.network.device = "cpu"  # what computes is the CPU of this machine
        computing = begin(batch)
        embedder.network.device = "cuda"
        return Late(i, computing)

    monkeypatch.setattr(embedder, "_begin", noted)
    embedder.network.device = "cuda"
    batches = [embedder.prepare([noise(32, 32, seed=i)]) for i in range(3)]

    vectors = list(embedder.embed(batches))

    assert len(vectors) == 3
    assert events == ["begin 0", "begin 1", "fetch 0", "begin 2", "fetch 1", "fetch 2"]


def test_float32_is_not_tf32() -> None:
    """A GPU's convolutions would otherwise keep 10 bits of mantissa of what is called float32."""
    embedder = TimmModel(image_size=32, device="cpu").embedder(CONTEXT, Learned())
    seen = []
    embedder._ready.register_forward_pre_hook(
        lambda *_: seen.append(
            (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision())
        )
    )

    list(embedder.embed([embedder.prepare([noise(32, 32)])]))
    embedder._tf32 = True
    list(embedder.embed([embedder.prepare([noise(32, 32)])]))

    assert seen == [(False, "highest"), (True, "high")]
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("precision", ["tf32", "float16"])
def test_what_only_a_gpu_computes_is_refused_on_a_cpu(precision) -> None:
    """It would be float32 under another name, and another key."""
    with pytest.raises(SettingError, match=f'precision = "{precision}" needs a CUDA device'):
        TimmModel(image_size=32, device="cpu", precision=precision).embedder(CONTEXT, Learned())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="has no GPU")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_a_gpu_gives_the_vectors_of_the_cpu(precision) -> None:
    """Another device is another speed, not another model."""
    exact = embed(device="cpu")

    actual = embed(device="cuda", precision=precision, flip=False)

    np.testing.assert_allclose(actual, exact, atol=0.02)
