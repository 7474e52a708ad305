"""What a plan needs of trained weights and frozen vectors, by content address; nothing is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cbir_bench.core.component import create
from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.hashing import key_of
from cbir_bench.core.model import FittedModel
from cbir_bench.core.registry import MODELS, TRANSFORMS
from cbir_bench.core.training_data import TrainingData
from cbir_bench.core.trial import NO_TRANSFORM
from cbir_bench.embeddings.key import embeddings_key, embeddings_origin, library_versions
from cbir_bench.run.learned import LEARNING_VERSION
from cbir_bench.training.classes import choose_material
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.store import training_key, training_origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.component import Setting
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.model import Model
    from cbir_bench.run.places import Places

TRANSFORM_VERSION: Final = 1
"""Part of every key; raised when the same transform would give other vectors than before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Artefact:
    """The frozen embeddings of one split of a data set under one model, there or not.

    Attributes:
        key: their content address.
        origin: what the key is the hash of.
        dataset, model: the settings.
        data: the data set.
        split: which of its splits; ``TRAIN`` for vectors that a transform learns from.
        training: the recipe's setting, if the model is trained here.
        training_origin: what the key of the trained weights is the hash of; None without training.
        fit_origin: the same for what the model learns without gradients; None if it learns nothing so.
        transform: what is done to the frozen vectors.
        source: the vectors that the transform is applied to; None for vectors as the model gives them.
        teacher: the vectors that the transform learns from; None if it learns nothing.
    """

    key: str
    origin: dict[str, Any]
    dataset: Setting
    model: Setting
    data: Dataset
    split: Split = Split.TEST
    training: Setting | None = None
    training_origin: dict[str, Any] | None = None
    fit_origin: dict[str, Any] | None = None
    transform: Setting = NO_TRANSFORM
    source: Artefact | None = None
    teacher: Artefact | None = None

    @property
    def checkpoint_key(self) -> str | None:
        """Content address of the trained weights; None if the model is not trained here."""
        return None if self.training_origin is None else training_key(self.training_origin)

    @property
    def fit_key(self) -> str | None:
        """Content address of what the model learns without gradients, if it does."""
        return None if self.fit_origin is None else key_of(self.fit_origin)

    @property
    def plain(self) -> Artefact:
        """The vectors as the model gives them."""
        return self if self.source is None else self.source

    @property
    def items(self) -> Dataset | TrainingData:
        """What is embedded: the data set, or the part of it that may be learnt from."""
        return self.data if self.split is Split.TEST else TrainingData.of(self.data)

    def texts_key(self, texts: Sequence[str]) -> str:
        """Return the content address of the vectors of texts under the same model."""
        return key_of({"texts": list(texts), "beside": self.key})


_OF_TRAINING: Final = ("pytorch_metric_learning",)
"""Libraries whose versions trained weights depend on, besides those of the model."""


class Subject(NamedTuple):
    """What is embedded by what.

    Attributes:
        dataset, model: the settings.
        data: the data set, open.
        training: the recipe's setting, if the model is trained here.
    """

    dataset: Setting
    data: Dataset
    model: Setting
    training: Setting | None = None


def artefact_of(subject: Subject, places: Places, transform: Setting = NO_TRANSFORM) -> Artefact:
    """Return the artefact of a data set's test split without making it.

    Raises:
        DataError: if a file of weights is not there, or something is to be learnt and there is no
            training split.
    """
    plain = _plain(subject, places, Split.TEST)
    if transform.use == NO_TRANSFORM.use:
        return plain
    teacher = None
    if TRANSFORMS.get(transform.use).LEARNS:
        _need_training_split(subject.data, f"the transform {transform}")
        teacher = _plain(subject, places, Split.TRAIN)
    origin = {
        "transform_version": TRANSFORM_VERSION,
        "transform": transform.to_json(),
        "source": plain.key,
        "teacher": None if teacher is None else teacher.key,
        "versions": library_versions(()),
    }
    return Artefact(
        key=key_of(origin),
        origin=origin,
        dataset=subject.dataset,
        model=subject.model,
        data=subject.data,
        training=subject.training,
        training_origin=plain.training_origin,
        fit_origin=plain.fit_origin,
        transform=transform,
        source=plain,
        teacher=teacher,
    )


def check_learning(subject: Subject, transform: Setting) -> None:
    """Refuse what a training split is too small for, before anything is made.

    Raises:
        SettingError: if a batch needs more classes than there are, or a transform more vectors.
        DataError: if no class has two images.
    """
    if subject.training is not None and len(subject.data.rows(Split.TRAIN)):
        recipe = TrainingRecipe(**subject.training.values)
        try:
            choose_material(TrainingData.of(subject.data), recipe)
        except SettingError as error:
            raise SettingError(f"{subject.model} on {subject.dataset}: {error}") from error
    needed = getattr(create(TRANSFORMS, transform.use, transform.values), "n_needed", 0)
    n_training = len(subject.data.rows(Split.TRAIN))
    if 0 < n_training < needed:
        raise SettingError(
            f"The transform {transform} needs {needed} training vectors, but {subject.dataset} has "
            f"{n_training} training images. Lower its dim."
        )


def _plain(subject: Subject, places: Places, split: Split) -> Artefact:
    dataset, data, model, training = subject
    component = create(MODELS, model.use, model.values)
    versions = library_versions(component.REQUIRES)
    weights_hash = component.weights_hash(places.context)
    trained_from = None
    if training is not None:
        _need_training_split(data, f"the model {model}")
        trained_from = training_origin(
            data_hash=data.content_hash,
            model=_seen_by_training(model, component),
            recipe=training.to_json(),
            weights_hash=weights_hash,
            versions=library_versions((*component.REQUIRES, *_OF_TRAINING)),
        )
    fitted_from = None
    if isinstance(component, FittedModel) and component.needs_fit:
        _need_training_split(data, f"the model {model}")
        fitted_from = {
            "learning_version": LEARNING_VERSION,
            "data_hash": data.content_hash,
            "model": model.to_json(),
            "weights_hash": weights_hash,
            "training": trained_from,
            "versions": versions,
        }
    origin = embeddings_origin(
        data_hash=data.content_hash,
        rows=_rows(data, split),
        model=model.to_json(),
        training=None if training is None else training.to_json(),
        weights_hash=weights_hash,
        versions=versions,
    )
    if trained_from is not None:
        origin["checkpoint"] = training_key(trained_from)
    if fitted_from is not None:
        origin["fit"] = key_of(fitted_from)
    if split is not Split.TEST:
        origin["split"] = split.name
    return Artefact(
        key=embeddings_key(origin),
        origin=origin,
        dataset=dataset,
        model=model,
        data=data,
        split=split,
        training=training,
        training_origin=trained_from,
        fit_origin=fitted_from,
    )


def _seen_by_training(model: Setting, component: Model) -> dict[str, Any]:
    """Return a model's setting without the options that change nothing but how it embeds."""
    unseen: frozenset[str] = getattr(component, "AFTER_TRAINING", frozenset())
    return {name: value for name, value in model.to_json().items() if name not in unseen}


def _rows(data: Dataset, split: Split) -> NDArray[np.int64]:
    """Return the rows of a split, as its own part of the data set counts them."""
    return data.rows(split) if split is Split.TEST else TrainingData.of(data).rows(split)


def _need_training_split(data: Dataset, who: str) -> None:
    if not len(data.rows(Split.TRAIN)):
        raise DataError(
            f"{data.name} has no training split, so {who} has nothing to learn from. Give the data set a "
            "training split (train_fraction, split folders or a split column), or choose what learns "
            "nothing."
        )
