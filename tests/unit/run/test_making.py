"""Making artefacts: keys that change with whatever decides them, and no way from test to training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from cbir_bench.core.component import setting_of
from cbir_bench.core.dataset import DataContext, Dataset, LabelSets, Split
from cbir_bench.core.errors import DataError, InvalidArrayError, SettingError
from cbir_bench.core.trial import NO_TRANSFORM
from cbir_bench.models.given_vectors import VectorsFromFile
from cbir_bench.models.pixels import Pixels
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.run.artefacts import Subject, artefact_of, check_learning
from cbir_bench.run.making import Maker, held_out_scores
from cbir_bench.run.places import Places
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.transforms.cut import Cut
from cbir_bench.transforms.pca import Pca

N_TRAIN, N_TEST = 24, 10
DATASET = setting_of("image_folder", Pixels())  # any setting will do: the data is at hand
RECIPE = {"steps": 3, "classes_per_batch": 2, "images_per_class": 2, "n_threads": 1}
NETWORK = {"backbone": "test_resnet", "weights": "train", "embedding_dim": 8, "image_size": 32}


class Silent:
    def stage(self, name, total): ...
    def step(self, done, detail): ...
    def say(self, line): ...


@dataclass
class Noise:
    """Images of noise from a seed for each row; remembers which were read."""

    seeds: list[int]
    read_rows: list[int] = field(default_factory=list)

    def read(self, rows):
        self.read_rows += list(rows)
        return [
            np.random.default_rng(self.seeds[row]).integers(0, 256, (20, 20, 3), np.uint8)
            for row in rows
        ]


def make_data(*, n_train=N_TRAIN, test_seed=1000, content_hash="data"):
    n = n_train + N_TEST
    seeds = [*range(n_train), *(test_seed + i for i in range(N_TEST))]
    return Dataset(
        name="noise",
        ids=tuple(f"item{i}" for i in range(n)),
        labels=LabelSets.of([f"class{i % 4}" for i in range(n)]),
        splits=np.repeat([Split.TRAIN, Split.TEST], [n_train, N_TEST]).astype(np.int8),
        roles=np.zeros(n, np.int8),
        images=Noise(seeds),
        content_hash=content_hash,
    )


@pytest.fixture
def places(tmp_path):
    context = DataContext(folders=(tmp_path,), cache=tmp_path / "data")
    folders = {name: tmp_path / name for name in ("weights", "learned", "embeddings")}
    return Places(context=context, **folders)


@pytest.fixture
def maker(places):
    return Maker(places, Silent())


def subject(data=None, model=None, recipe=None):
    use, model = ("pixels", model or Pixels(size=4)) if recipe is None else ("timm", model)
    training = None if recipe is None else setting_of("training", TrainingRecipe(**recipe))
    return Subject(DATASET, data or make_data(), setting_of(use, model), training)


def pca(**options):
    return setting_of("pca", Pca(**options))


def test_whatever_decides_vectors_changes_their_key(places):
    """Two artefacts of one key would be taken for each other."""
    network = TimmModel(**NETWORK)
    subjects = [
        subject(),
        subject(make_data(content_hash="other")),
        subject(model=Pixels(size=5)),
        subject(model=network, recipe=RECIPE),
        subject(model=network, recipe={**RECIPE, "seed": 1}),
        subject(model=TimmModel(**NETWORK, seed=1), recipe=RECIPE),
    ]
    transforms = [pca(dim=4), pca(dim=5), setting_of("cut", Cut(dim=4))]

    artefacts = [artefact_of(one, places) for one in subjects]
    artefacts += [artefact_of(subjects[0], places, transform) for transform in transforms]

    keys = [artefact.key for artefact in artefacts]
    assert len(set(keys)) == len(keys)


def test_a_file_of_weights_is_part_of_the_key_of_what_is_trained_from_it(places, tmp_path):
    """Other weights at the start give other weights at the end."""
    keys = []
    for content in (b"one", b"other"):
        (tmp_path / "start.pt").write_bytes(content)
        model = TimmModel(**{**NETWORK, "weights": "start.pt"})
        artefact = artefact_of(subject(model=model, recipe=RECIPE), places)
        keys.append((artefact.checkpoint_key, artefact.key))

    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_options_that_training_never_sees_share_one_training(places):
    """A sweep over the sizes at which images are seen would otherwise train for each of them."""
    seen = [
        TimmModel(**NETWORK),
        TimmModel(**NETWORK, scales="1, 0.5"),
        TimmModel(**NETWORK, flip=True),
    ]

    artefacts = [artefact_of(subject(model=model, recipe=RECIPE), places) for model in seen]

    assert len({artefact.checkpoint_key for artefact in artefacts}) == 1
    assert len({artefact.key for artefact in artefacts}) == len(seen)


@pytest.mark.parametrize("transform", [pca(dim=2), None])
def test_nothing_is_learnt_without_a_training_split(places, transform):
    """To learn from the test split instead would be cheating, so there is no such fallback."""
    data = make_data(n_train=0)
    one = subject(data) if transform else subject(data, TimmModel(**NETWORK), RECIPE)

    with pytest.raises(DataError, match="has no training split"):
        artefact_of(one, places, *([transform] if transform else []))


@pytest.mark.parametrize(
    ("recipe", "transform", "sentence"),
    [
        ({**RECIPE, "classes_per_batch": 5}, NO_TRANSFORM, "A batch needs 5 classes"),
        (RECIPE, pca(dim=N_TRAIN), f"needs {N_TRAIN + 1} training vectors.*has {N_TRAIN}"),
    ],
)
def test_a_training_split_that_is_too_small_is_found_before_any_work(recipe, transform, sentence):
    """Hours of training would otherwise end in that sentence."""
    data = make_data()

    with pytest.raises(SettingError, match=sentence):
        check_learning(subject(data, TimmModel(**NETWORK), recipe), transform)

    assert data.images.read_rows == []


def test_a_transform_learns_the_same_whatever_the_test_split_holds(places, maker):
    """Two data sets that differ in their test images only teach the same rotation."""
    learnt = []
    for number, test_seed in enumerate((1000, 5000)):
        data = make_data(test_seed=test_seed, content_hash=f"data{number}")
        artefact = artefact_of(subject(data), places, pca(dim=3))
        vectors = maker.embeddings(artefact)
        learnt.append(dict(maker._transform_learned(artefact)))
        assert vectors.vectors.shape == (N_TEST, 3)

    assert learnt[0].keys() == learnt[1].keys()
    for name, array in learnt[0].items():
        np.testing.assert_array_equal(array, learnt[1][name])


def test_only_training_images_are_read_to_learn(places, maker):
    """Who is given nothing else can leak nothing else."""
    data = make_data()
    artefact = artefact_of(subject(data), places, pca(dim=3))
    assert artefact.teacher is not None

    maker.embeddings(artefact.teacher)

    assert sorted(data.images.read_rows) == list(range(N_TRAIN))


def test_what_is_made_is_made_once(places, maker):
    """A second run, or a second transform of the same vectors, reads no image again."""
    data = make_data()
    for transform in (pca(dim=3), pca(dim=4), setting_of("cut", Cut(dim=2))):
        maker.embeddings(artefact_of(subject(data), places, transform))

    assert sorted(data.images.read_rows) == list(range(N_TRAIN + N_TEST))


def test_a_transform_is_applied_to_the_frozen_vectors(places, maker):
    """The cut of vectors is what the cut of their plain form gives."""
    plain = maker.embeddings(artefact_of(subject(), places))

    actual = maker.embeddings(artefact_of(subject(), places, setting_of("cut", Cut(dim=2))))

    expected = plain.vectors[:, :2] / np.linalg.norm(plain.vectors[:, :2], axis=1, keepdims=True)
    np.testing.assert_allclose(actual.vectors, expected, atol=1e-6)
    assert actual.rows.tolist() == plain.rows.tolist()


def test_vectors_that_a_transform_ruins_are_refused(places, maker, monkeypatch):
    """A search over zeros would give numbers that mean nothing."""
    monkeypatch.setattr(Cut, "apply", lambda self, vectors, learned: np.zeros_like(vectors))
    artefact = artefact_of(subject(), places, setting_of("cut", Cut(dim=2)))

    with pytest.raises(InvalidArrayError, match=r"for 10 of 10 items, the first is 'item24'"):
        maker.embeddings(artefact)


def test_training_goes_through_the_store(places, maker):
    """The second time the weights are found, and nothing of the state on the way is left."""
    artefact = artefact_of(subject(model=TimmModel(**NETWORK), recipe=RECIPE), places)
    first = maker.embeddings(artefact)

    path = maker.checkpoint(artefact)

    assert first.vectors.shape == (N_TEST, 8)
    assert path == places.weights / artefact.checkpoint_key / "checkpoint.safetensors"
    assert [path.name for path in places.weights.iterdir()] == [artefact.checkpoint_key]


def test_texts_need_a_model_that_reads(places, maker):
    """The sentence names what to choose instead."""
    with pytest.raises(DataError, match=r"takes no texts.*open_clip"):
        maker.texts(artefact_of(subject(), places), ["a photo of a shoe"])


def test_rows_of_the_test_split_teach_no_transform(places, maker, tmp_path):
    """Vectors matched by row are the test images': to learn from them would be a leak."""
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(N_TEST, 4)))
    data = make_data(n_train=N_TEST)
    model = VectorsFromFile(file="mine.npy", match="row")
    one = Subject(DATASET, data, setting_of("given_vectors", model))

    plain = maker.embeddings(artefact_of(one, places))

    assert len(plain.rows) == N_TEST
    with pytest.raises(DataError, match="test items"):
        maker.embeddings(artefact_of(one, places, pca(dim=2)))


def test_held_out_classes_are_scored_as_any_others():
    """Two classes far apart are found without a mistake; all in one place, by chance."""
    classes = np.array([0, 0, 0, 1, 1, 1])
    apart = np.eye(2, dtype=np.float32)[classes]
    apart += np.random.default_rng(0).normal(0, 0.01, apart.shape).astype(np.float32)

    actual = held_out_scores(apart, classes)

    assert list(actual) == ["map_at_r", "hit_rate@1"]
    assert actual == {"map_at_r": 1.0, "hit_rate@1": 1.0}
