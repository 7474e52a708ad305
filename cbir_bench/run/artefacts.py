"""Trained weights and frozen embeddings: what a plan needs, and making what is missing."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cbir_bench.core.component import create
from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import DataError, MissingPackageError
from cbir_bench.core.model import Learned
from cbir_bench.core.registry import MODELS
from cbir_bench.core.training_data import TrainingData
from cbir_bench.embeddings.freeze import freeze
from cbir_bench.embeddings.key import embeddings_key, embeddings_origin, library_versions
from cbir_bench.embeddings.store import EmbeddingStore
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.store import CheckpointStore, training_key, training_origin
from cbir_bench.training.trainer import train

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cbir_bench.core.component import Setting
    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.embeddings import Embeddings
    from cbir_bench.core.model import Model
    from cbir_bench.run.places import Places
    from cbir_bench.run.plan import Build
    from cbir_bench.run.progress import Progress

_FREEZING_BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Artefact:
    """The frozen embeddings of one data set under one model, there or not.

    Attributes:
        key: their content address.
        origin: what the key is the hash of.
        dataset, model: the settings.
        training: the recipe's setting, if the model is trained here.
        training_origin: what the key of the trained weights is the hash of; None without training.
    """

    key: str
    origin: dict[str, Any]
    dataset: Setting
    model: Setting
    training: Setting | None
    training_origin: dict[str, Any] | None

    @property
    def checkpoint_key(self) -> str | None:
        """Content address of the trained weights; None if the model is not trained here."""
        return None if self.training_origin is None else training_key(self.training_origin)


def artefact_of(
    dataset: Setting, data: Dataset, model: Setting, training: Setting | None, places: Places
) -> Artefact:
    """Return the artefact of a data set and a model without making it.

    Raises:
        DataError: if a file of weights is not there.
    """
    component = create(MODELS, model.use, model.values)
    versions = library_versions(component.REQUIRES)
    origin = embeddings_origin(
        data_hash=data.content_hash,
        rows=data.rows(Split.TEST),
        model=model.to_json(),
        training=None if training is None else training.to_json(),
        weights_hash=component.weights_hash(places.context),
        versions=versions,
    )
    return Artefact(
        key=embeddings_key(origin),
        origin=origin,
        dataset=dataset,
        model=model,
        training=training,
        training_origin=None
        if training is None
        else training_origin(
            data_hash=data.content_hash,
            model=model.to_json(),
            recipe=training.to_json(),
            versions=versions,
        ),
    )


def freeze_missing(
    builds: Iterable[Build], places: Places, progress: Progress
) -> dict[str, Embeddings]:
    """Return the embeddings of every build by key, made first where they are not there.

    Damaged ones are refused, never used.

    Raises:
        CbirBenchError: if a model cannot be trained, loaded, or gives vectors that cannot be used.
    """
    store = EmbeddingStore(places.embeddings)
    data = {build.artefact.key: build.opened.data for build in builds}
    artefacts = {build.artefact.key: build.artefact for build in builds}
    for key, artefact in artefacts.items():
        if not store.has(key):
            _make(artefact, data[key], store, places, progress)
    return {key: store.load(key) for key in artefacts}


def _make(
    artefact: Artefact, data: Dataset, store: EmbeddingStore, places: Places, progress: Progress
) -> None:
    component = create(MODELS, artefact.model.use, artefact.model.values)
    try:
        checkpoint = _checkpoint(artefact, component, data, places, progress)
        embedder = component.embedder(places.context, Learned(trained=checkpoint))
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"The model {artefact.model}", error.name or "?") from error
    rows = data.rows(Split.TEST)
    progress.stage(f"freeze {artefact.model}", len(rows))
    began = time.perf_counter()
    vectors = freeze(
        data,
        embedder,
        rows,
        batch_size=_FREEZING_BATCH,
        progress=lambda done, _: progress.step(done, f"images of {data.name}"),
    )
    seconds = time.perf_counter() - began
    made_from = {**artefact.origin, "dim": embedder.dim, "freeze_seconds": round(seconds, 3)}
    store.save(artefact.key, vectors, rows, made_from)


def _checkpoint(
    artefact: Artefact, component: Model, data: Dataset, places: Places, progress: Progress
) -> Path | None:
    """Return the trained weights, trained first where they are not there."""
    if artefact.training is None or artefact.training_origin is None:
        return None
    store, key = CheckpointStore(places.weights), training_key(artefact.training_origin)
    if store.has(key):
        return store.checkpoint(key)
    if not len(data.rows(Split.TRAIN)):
        raise DataError(
            f"{data.name} has no training split, so {artefact.model} cannot be trained on it. "
            "Give the model a file of weights, or the data set a training split."
        )
    recipe = TrainingRecipe(**artefact.training.values)
    network = component.network(places.context)
    log = train(network, TrainingData.of(data), recipe, _Reporter(progress, str(artefact.model)))
    return store.save(key, network, log, artefact.training_origin)


class _Reporter:
    """Turns what the trainer tells into stages and steps."""

    def __init__(self, progress: Progress, model: str) -> None:
        self._progress, self._model = progress, model
        self._phase = ""

    def __call__(self, phase: str, n_done: int, n_total: int, loss: float) -> None:
        """Take note of a batch of images read, or of a training step."""
        if phase != self._phase:
            self._phase = phase
            what = "read images for" if phase == "images" else "train"
            self._progress.stage(f"{what} {self._model}", n_total)
        self._progress.step(n_done, "" if math.isnan(loss) else f"loss {loss:.3f}")
