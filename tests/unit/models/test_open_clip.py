"""CLIP models: the same vectors as open_clip gives, from files that cannot run code."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from copy import deepcopy

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from unit.models import tiny_clip
from unit.models.tiny_clip import CONFIG, described
from unit.protocols.items import dataset

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.model import Learned, TextModel
from cbir_bench.metrics.complete import complete_quotients
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.models.networks import clip, clip_texts
from cbir_bench.models.open_clip import OpenClipModel
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.protocols.text_query import TextQuery

TEXTS = ["a photo of a pear", "Zoë's café, 3 €", "", "a photo of a dog"]
KINDS = ["CONFIG", "CUSTOM", "RESNET", "TIMM", "CAPTIONS"]


@pytest.fixture
def context(tmp_path):
    """A folder with the description of a small model."""
    described(tmp_path)
    return DataContext(folders=(tmp_path,), cache=tmp_path)


def photos(n=3, seed=0):
    """Return smooth images of several sizes: noise would look alike to any network."""
    draw = np.random.default_rng(seed)
    sizes = [(70, 50), (33, 90), (20, 20)] * n
    small = [Image.fromarray(draw.integers(0, 256, (4, 4, 3), np.uint8)) for _ in range(n)]
    return [
        np.asarray(s.resize(size, Image.Resampling.BICUBIC))
        for s, size in zip(small, sizes, strict=False)
    ]


def embed(model, context, images):
    """Return the vectors of images."""
    embedder = model.embedder(context, Learned())
    (vectors,) = embedder.embed([embedder.prepare(images)])
    return vectors


def theirs(folder, config, preprocessing=None, seed=0):
    """Return open_clip's own model, transform and tokenizer, made from a folder as its hub has them."""
    table = {"model_cfg": config, "preprocess_cfg": preprocessing or {}}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(table), encoding="utf-8")
    place = f"local-dir:{folder}"
    torch.manual_seed(seed)
    network, _, transform = open_clip.create_model_and_transforms(
        place, load_weights=False, pretrained_text=False
    )
    return network.eval(), transform, open_clip.get_tokenizer(place)


def their_vectors(network, transform, images):
    """Return open_clip's vectors of images."""
    pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        return network.encode_image(pixels, normalize=True).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_open_clip(kind, context, tmp_path):
    """Built, initialised, prepared and normalised as it does: a wrong mean or crop would show."""
    config = getattr(tiny_clip, kind)
    network, transform, tokenizer = theirs(tmp_path / "theirs", deepcopy(config), seed=5)
    model = OpenClipModel(model=described(tmp_path, config, "mine.json"), seed=5)

    images, texts = embed(model, context, photos()), model.embed_texts(context, TEXTS)

    with torch.inference_mode():
        expected = network.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    np.testing.assert_allclose(texts, expected, atol=1e-5)
    np.testing.assert_allclose(images, their_vectors(network, transform, photos()), atol=1e-5)
    assert texts.dtype == images.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
def test_images_are_prepared_as_open_clip_does(context, tmp_path, resize_mode, interpolation):
    """To the level, by Pillow alone."""
    wanted = {"resize_mode": resize_mode, "interpolation": interpolation, "fill_color": 9}
    table = {"model_cfg": CONFIG, "preprocess_cfg": wanted}
    model = OpenClipModel(model=described(tmp_path, table, "mine.json"))
    transform = open_clip.image_transform(
        32, is_train=False, mean=(0, 0, 0), std=(1, 1, 1), **wanted
    )

    actual = model.embedder(context, Learned()).prepare(photos(9))

    expected = np.stack([255 * transform(Image.fromarray(image)).numpy() for image in photos(9)])
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, np.rint(expected))


def test_the_mean_and_deviation_of_a_description_are_used(context, tmp_path):
    """SigLIP's differ from CLIP's."""
    seen = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.6, 0.7], "resize_mode": "squash"}
    network, transform, _ = theirs(tmp_path / "theirs", deepcopy(CONFIG), seen)
    table = {"model_cfg": CONFIG, "preprocess_cfg": seen}
    model = OpenClipModel(model=described(tmp_path, table, "mine.json"))

    actual = embed(model, context, photos())

    np.testing.assert_allclose(actual, their_vectors(network, transform, photos()), atol=1e-5)


def test_readers_prepare_images_without_torch(context):
    """They are processes of their own, and what they are sent is small."""
    prepare = OpenClipModel(model="tiny_clip.json").embedder(context, Learned()).prepare

    sent = pickle.dumps(prepare)

    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent)(photos()), prepare(photos()))


def trained(context, tmp_path, suffix=".safetensors", config=CONFIG, change=None, **wrapped):
    """Return a model whose weights are in a file, and open_clip's own with the same weights."""
    network, transform, _ = theirs(tmp_path / "trained", deepcopy(config), seed=9)
    tensors = network.state_dict()
    if change is not None:
        tensors = change(tensors)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file({name: t.contiguous() for name, t in tensors.items()}, path)
    else:
        torch.save({**wrapped, "state_dict": tensors} if wrapped else tensors, path)
    name = described(tmp_path, config, "mine.json")
    model = OpenClipModel(model=name, weights=path.name)
    return model, lambda images: their_vectors(network, transform, images)


def in_a_wrapper(tensors):
    """Return tensors as open_clip's trainer names them when it runs on several GPUs."""
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def without_scale(tensors):
    """Return tensors without what only a loss looks at."""
    return {name: t for name, t in tensors.items() if name != "logit_scale"}


@pytest.mark.parametrize(
    ("suffix", "change", "wrapped"),
    [
        (".safetensors", None, {}),
        (".pt", None, {}),
        (".pt", in_a_wrapper, {"epoch": 3, "name": "run"}),
        (".bin", without_scale, {}),
        (".safetensors", lambda t: {n: x.half() for n, x in t.items()}, {}),
    ],
)
def test_files_of_weights_are_read(context, tmp_path, suffix, change, wrapped):
    """As open_clip's hub and its trainer write them; in half precision, too, which its hub often has."""
    model, expected = trained(context, tmp_path, suffix, change=change, **wrapped)

    actual = embed(model, context, photos())

    tolerance = 1e-5 if suffix != ".safetensors" or change is None else 1e-2
    np.testing.assert_allclose(actual, expected(photos()), atol=tolerance)
    assert np.abs(actual - embed(OpenClipModel(model="mine.json"), context, photos())).max() > 0.05


def test_weights_of_before_the_text_tower_had_a_name_are_read(context, tmp_path):
    """open_clip's older files name its layers as if they were the model's own."""
    network, _, tokenizer = theirs(tmp_path / "old", deepcopy(CONFIG), seed=9)
    save_file(network.state_dict(), tmp_path / "old.safetensors")
    name = described(tmp_path, tiny_clip.CUSTOM, "mine.json")

    actual = OpenClipModel(model=name, weights="old.safetensors").embed_texts(context, TEXTS)

    with torch.inference_mode():
        expected = network.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_weights_of_another_architecture_name_the_layers(context, tmp_path):
    """Which file belongs to which model is easily mixed up."""
    trained(context, tmp_path)
    deeper = {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], "layers": 3, "patch_size": 16}}
    model = OpenClipModel(
        model=described(tmp_path, deeper, "deeper.json"), weights="weights.safetensors"
    )

    with pytest.raises(DataError) as caught:
        model.embedder(context, Learned())

    message = str(caught.value)
    assert "12 missing: visual.transformer.resblocks.2." in message
    assert (
        "visual.conv1.weight (64 x 3 x 8 x 8 in the file, 64 x 3 x 16 x 16 in the model)" in message
    )


class Bomb:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (type(self.mark).touch, (self.mark,))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_would_run_code_is_refused(context, tmp_path, legacy):
    """Weights come from strangers."""
    mark = tmp_path / "executed"
    torch.save(
        {"visual.proj": Bomb(mark)},
        tmp_path / "evil.pt",
        _use_new_zipfile_serialization=not legacy,
    )
    model = OpenClipModel(model="tiny_clip.json", weights="evil.pt")

    with pytest.raises(DataError, match="cannot be read safely"):
        model.embedder(context, Learned())

    assert not mark.exists()


def test_an_archive_of_torchscript_is_refused(context, tmp_path):
    """OpenAI's first files: torch would run what is in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
        model = OpenClipModel(model="tiny_clip.json", weights="script.pt")

        with pytest.raises(DataError, match="cannot be read safely"):
            model.embedder(context, Learned())


def test_a_truncated_file_is_refused(context, tmp_path):
    """A download that broke off."""
    model, _ = trained(context, tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DataError, match="cannot be read safely"):
        model.embedder(context, Learned())


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub of two architectures and two tags, and what it was asked for."""
    network, *_ = theirs(tmp_path / "hub", deepcopy(CONFIG), seed=9)
    save_file(network.state_dict(), tmp_path / "hub.safetensors")
    table = {"hf_hub": "x/y/", "mean": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    models = {"Tiny": CONFIG, "Tiny-quickgelu": {**CONFIG, "quick_gelu": True}}
    tables = {
        ("Tiny", "laion"): table,
        ("Tiny-quickgelu", "laion"): table,
        ("Tiny", "quick"): {**table, "quick_gelu": True},
    }
    asked = []

    def download(wanted):
        asked.append(wanted)
        return str(tmp_path / "hub.safetensors")

    monkeypatch.setattr(open_clip, "get_model_config", lambda name: deepcopy(models.get(name)))
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *key: tables.get(key, {}))
    monkeypatch.setattr(
        open_clip, "list_pretrained_tags_by_model", lambda name: [t for n, t in tables if n == name]
    )
    monkeypatch.setattr(open_clip, "download_pretrained", download)
    return asked


def test_weights_of_the_hub_see_images_as_they_were_trained(context, hub, tmp_path):
    """Their tag says how, not the architecture."""
    seen = {"mean": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    network, transform, _ = theirs(tmp_path / "same", deepcopy(CONFIG), seen, seed=9)

    actual = embed(OpenClipModel(model="Tiny", weights="hub:laion"), context, photos())

    np.testing.assert_allclose(actual, their_vectors(network, transform, photos()), atol=1e-5)
    assert [wanted["hf_hub"] for wanted in hub] == ["x/y/"]


@pytest.mark.parametrize(
    ("model", "tag", "words"),
    [
        (
            "Tiny",
            "quick",
            r"trained with QuickGELU.* built without it.*Set model = \"Tiny-quickgelu\"",
        ),
        (
            "Tiny-quickgelu",
            "laion",
            r"trained without QuickGELU.* built with it.*Set model = \"Tiny\"",
        ),
    ],
)
def test_weights_for_another_activation_are_refused(context, hub, model, tag, words):
    """open_clip only warns, and gives vectors that are subtly wrong."""
    with pytest.raises(SettingError, match=words):
        embed(OpenClipModel(model=model, weights=f"hub:{tag}"), context, photos())

    assert hub == []


def test_openais_weights_need_their_own_architecture(context):
    """The most common trap with this library, by its own tables."""
    with pytest.raises(SettingError, match='Set model = "ViT-B-32-quickgelu"'):
        OpenClipModel(weights="hub:openai").embedder(context, Learned())


def test_a_failed_download_is_one_sentence(context, hub, monkeypatch):
    """Without a traceback of twenty libraries."""

    def fail(_):
        raise OSError("no route to host\nmore\nlines")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)

    with pytest.raises(DataError) as caught:
        embed(OpenClipModel(model="Tiny", weights="hub:laion"), context, photos())

    assert str(caught.value) == (
        "The weights 'laion' of 'Tiny' cannot be had from open_clip's hub: OSError: no route to host. "
        "Check the network, or set weights to a local file."
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "ViT-B-33"}, "no model 'ViT-B-33'. Did you mean 'ViT-B-32'"),
        (
            {"weights": "hub:laion2b_s34b_b79"},
            "no weights tagged .*Did you mean 'laion2b_s34b_b79k'.* Tags: .*datacomp",
        ),
        ({"model": "tiny_clip.json", "device": "cuda"}, "no CUDA device"),
        (
            {"model": "tiny_clip.json", "device": "cpu", "precision": "float16"},
            "needs a CUDA device",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(context, monkeypatch, options, words):
    """For images and for texts alike."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = OpenClipModel(**options)

    with pytest.raises(SettingError, match=words):
        model.embedder(context, Learned())
    with pytest.raises(SettingError, match=words):
        model.embed_texts(context, TEXTS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "hub"}, 'Set it to "hub:TAG"'),
        ({"weights": "hub:"}, 'Set it to "hub:TAG"'),
        ({"model": "mine.json", "weights": "hub:laion"}, "model = 'mine.json' is a file"),
    ],
)
def test_weights_of_the_hub_are_named(options, words):
    """Before anything is loaded."""
    with pytest.raises(SettingError, match=words):
        OpenClipModel(**options)


def wrong(part, **changes):
    """Return a description with a mistake in one of its tables."""
    return {**CONFIG, part: {**CONFIG[part], **changes}}


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ({"embed_dim": 3}, DataError, "needs embed_dim, vision_cfg, text_cfg"),
        ([1], DataError, "does not describe"),
        (wrong("vision_cfg", layerz=3), SettingError, "cannot build .*layerz"),
        (wrong("vision_cfg", timm_model_name="no_such"), SettingError, "cannot build .*no_such"),
        (
            wrong("vision_cfg", image_size=[32, 64]),
            SettingError,
            "32 x 64 pixels, which are no squares",
        ),
        (wrong("text_cfg", width="wide"), SettingError, "cannot build"),
        ({**CONFIG, "vision_cfg": 3}, SettingError, "cannot build"),
        (
            {"model_cfg": CONFIG, "preprocess_cfg": {"resize_mode": "cover"}},
            SettingError,
            "preprocess_cfg of .* KeyError: 'cover'.*shortest, squash, longest",
        ),
        (
            {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5, 0.5]}},
            SettingError,
            "three numbers each for mean and std",
        ),
        ({"model_cfg": CONFIG, "preprocess_cfg": {"std": "x"}}, SettingError, "three numbers each"),
        ({"model_cfg": CONFIG, "preprocess_cfg": [1, 2]}, DataError, "that is no table but list"),
        ({"model_cfg": CONFIG, "preprocess_cfg": "abc"}, DataError, "that is no table but str"),
        ({"model_cfg": CONFIG, "preprocess_cfg": []}, DataError, "that is no table but list"),
    ],
)
def test_a_wrong_description_is_refused(context, tmp_path, table, error, words):
    """With what is wrong in it."""
    model = OpenClipModel(model=described(tmp_path, table, "wrong.json"))

    with pytest.raises(error, match=words):
        model.embedder(context, Learned())


def test_a_description_that_is_no_json_is_refused(context, tmp_path):
    """A file of weights in its place, say."""
    (tmp_path / "wrong.json").write_bytes(b"\x80\x04weights")

    with pytest.raises(DataError, match="is no JSON"):
        OpenClipModel(model="wrong.json").embedder(context, Learned())


def test_a_text_that_is_too_long_is_told(context):
    """Its end decides nothing, which a reader of the numbers has to know."""
    model = OpenClipModel(model="tiny_clip.json")  # reads 12 tokens, two of them begin and end
    fits, too_long = "one two three four five six seven eight nine ten", "a " * 11

    with pytest.warns(UserWarning, match="1 texts have more than the 12 tokens") as caught:
        model.embed_texts(context, [fits, too_long])

    assert repr(too_long) in str(caught[0].message)
    assert fits not in str(caught[0].message)


def test_texts_that_fit_are_not_warned_of(context):
    """Even if they fit exactly."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actual = OpenClipModel(model="tiny_clip.json").embed_texts(context, ["a " * 10])

    assert actual.shape == (1, 24)


def test_many_texts_are_read_in_batches(context, monkeypatch):
    """Each has the vector that it has alone, in the order in which they were given."""
    model = OpenClipModel(model="tiny_clip.json")
    texts = [f"a photo of {i}" for i in range(7)]
    monkeypatch.setattr(clip_texts, "_BATCH", 3)

    together = model.embed_texts(context, texts)

    alone = np.concatenate([model.embed_texts(context, [text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len(np.unique(together.round(4), axis=0)) == 7


def test_a_vocabulary_that_is_too_small_is_refused(context, tmp_path):
    """Words beyond it would be looked up out of bounds."""
    model = OpenClipModel(
        model=described(tmp_path, wrong("text_cfg", vocab_size=100), "small.json")
    )

    with pytest.raises(SettingError, match="has 49408 words, but text_cfg has vocab_size = 100"):
        model.embed_texts(context, TEXTS)


def test_a_tokenizer_that_needs_a_package_names_it(context, tmp_path, monkeypatch):
    """The caller tells how to install it."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    model = OpenClipModel(
        model=described(tmp_path, wrong("text_cfg", hf_tokenizer_name="t5"), "t5.json")
    )

    with pytest.raises(ModuleNotFoundError, match="transformers"):
        model.embed_texts(context, TEXTS)


def test_a_tokenizer_that_cannot_be_downloaded_is_one_sentence(context, tmp_path, monkeypatch):
    """Unlike CLIP's own, which open_clip brings along."""

    def fail(*_, **__):
        raise OSError("offline\nand more")

    monkeypatch.setattr(clip_texts, "HFTokenizer", fail)
    model = OpenClipModel(
        model=described(tmp_path, wrong("text_cfg", hf_tokenizer_name="t5"), "t5.json")
    )

    with pytest.raises(DataError, match=r"tokenizer of .* cannot be had: OSError: offline. Check"):
        model.embed_texts(context, TEXTS)


def test_bfloat16_is_near(context):
    """It trades the third digit for speed."""
    exact, quick = (
        OpenClipModel(model="tiny_clip.json", precision=p) for p in ("float32", "bfloat16")
    )

    images = embed(exact, context, photos()), embed(quick, context, photos())
    texts = exact.embed_texts(context, TEXTS), quick.embed_texts(context, TEXTS)

    for one, other in (images, texts):
        assert other.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, atol=1e-6)
        assert 0 < np.abs(one - other).max() < 0.05


def test_weights_are_told_apart(context, tmp_path):
    """What was frozen with others is not found."""
    trained(context, tmp_path)
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    wider = described(tmp_path, {**CONFIG, "embed_dim": 25}, "wider.json")
    models = [
        OpenClipModel(),
        OpenClipModel(seed=1),
        OpenClipModel(weights="hub:a"),
        OpenClipModel(weights="hub:b"),
        OpenClipModel(model="ViT-L-14", weights="hub:a"),
        OpenClipModel(weights="weights.safetensors"),
        OpenClipModel(weights="other.safetensors"),
        OpenClipModel(model="tiny_clip.json"),
        OpenClipModel(model=wider),
    ]

    actual = [model.weights_hash(context) for model in models]

    assert len(set(actual)) == len(models)
    assert actual[:3] == ["random:0", "random:1", "hub:ViT-B-32/a"]


def test_everybody_elses_random_numbers_go_on(context):
    """Making a model must not change what is drawn after it."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)

    OpenClipModel(model="tiny_clip.json").embedder(context, Learned())

    torch.testing.assert_close(torch.rand(4), expected, rtol=0, atol=0)


def test_nothing_is_dropped_by_chance(context):
    """Neither tower is in training mode: some of them drop what they see, or look at the batch."""
    network = clip.make_clip(OpenClipModel(model="tiny_clip.json"), context).network

    assert not any(layer.training for layer in network.modules())


def test_it_takes_texts_and_no_training(context):
    """Those that train it are told how else."""
    model = OpenClipModel()

    assert isinstance(model, TextModel)
    assert not model.TRAINABLE
    with pytest.raises(SettingError, match=r"nothing to train.*vit_base_patch32_clip_224"):
        model.network(context)


def test_a_missing_package_is_not_hidden(context, monkeypatch):
    """Whoever runs the model names the extra that brings it."""
    for module in ("clip", "clip_texts"):
        monkeypatch.delitem(sys.modules, f"cbir_bench.models.networks.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "open_clip", None)

    with pytest.raises(ModuleNotFoundError) as caught:
        OpenClipModel().embedder(context, Learned())

    assert caught.value.name == "open_clip"


@pytest.mark.parametrize("pooling", ["model", "cls"])
def test_image_towers_of_timm_are_another_way(context, pooling):
    """These can be trained; the smallest one, with the tag of its weights."""
    model = TimmModel(
        backbone="vit_xsmall_patch16_clip_224.tinyclip_yfcc15m", image_size=32, pooling=pooling
    )

    actual = embed(model, context, photos())

    assert actual.shape == (3, 256)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, atol=1e-5)


COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 40, 210),
    "grey": (120, 120, 120),
}


def plain(name, draw):
    """Return an image of a colour with some noise."""
    noise = draw.integers(-25, 26, (40, 48, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)


def test_texts_find_their_images_once_both_towers_have_learnt(context, tmp_path):
    """From words and pixels to a perfect ranking: rows, norms and towers belong together."""
    draw = np.random.default_rng(0)
    names = list(COLOURS)
    model = OpenClipModel(model="tiny_clip.json")
    clip_model = clip.make_clip(model, context)
    tower, network = clip.ImageTower(clip_model, "cpu"), clip_model.network.train()
    tokens = open_clip.SimpleTokenizer(context_length=12)([f"a photo of a {n}" for n in names])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(30):
        pixels = clip_model.preparation([plain(name, draw) for name in names])
        cosines = tower(torch.from_numpy(pixels)) @ network.encode_text(tokens, normalize=True).T
        optimizer.zero_grad()
        nn.functional.cross_entropy(10 * cosines, torch.arange(len(names))).backward()
        optimizer.step()
    save_file(network.state_dict(), tmp_path / "learnt.safetensors")
    labels = [names[i] for i in draw.integers(0, len(names), 40)]
    data = dataset(labels)
    truth = TextQuery().ground_truth(data, data.rows(Split.TEST))

    scores = []
    for weights in ("random", "learnt.safetensors"):
        learnt = OpenClipModel(model="tiny_clip.json", weights=weights)
        base = embed(learnt, context, [plain(label, draw) for label in labels])
        texts = learnt.embed_texts(context, truth.query_texts)
        similarities = Similarities(
            queries=texts[truth.query_rows], base=base[truth.base_rows], space="cosine"
        )
        found = complete_quotients(("ap",), similarities, truth)
        scores.append(np.mean(found["ap"].scores))

    assert scores[1] == pytest.approx(1)
    assert scores[0] < 0.9
